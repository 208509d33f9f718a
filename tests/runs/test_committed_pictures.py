"""Pictures of the READMEs exist, are small, and have a caption with the command that makes them."""

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+\.png)\)\n\n(\*.+?\*)\n", re.DOTALL)


@pytest.mark.parametrize("readme", ["README.md", "experiments/README.md"])
def test_pictures_have_captions_with_commands(readme):
    text = (ROOT / readme).read_text()
    found = PICTURE.findall(text)
    assert len(found) == text.count("![") > 0
    for _, path, caption in found:
        picture = (ROOT / readme).parent / path
        assert picture.stat().st_size < 250_000
        module = re.search(r"`python -m experiments\.(\w+)", caption)
        assert module is not None
        assert (ROOT / "experiments" / f"{module[1]}.py").exists()


def test_every_picture_is_shown():
    texts = [(ROOT / name).read_text() for name in ("README.md", "experiments/README.md")]
    for picture in (ROOT / "experiments" / "figures").iterdir():
        with Image.open(picture) as image:
            assert image.mode != "P"  # a palette merges the colours of classes
        assert any(f"figures/{picture.name})" in text for text in texts)
