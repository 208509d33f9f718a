r"""Formulas as MathML, which browsers draw without a script, from a small part of TeX.

`^`, `_`, groups in braces, `\frac{}{}`, `\sqrt{}`, accents, `\text{}`, `\mathbf{}`, Greek letters and some
symbols; nothing else, and an unknown command is an error.
"""

import html
import re

GREEK = dict(
    alpha="α",
    beta="β",
    gamma="γ",
    epsilon="ε",
    theta="θ",
    lambda_="λ",
    mu="μ",
    sigma="σ",
    phi="φ",
    pi="π",
)
IDENTIFIERS = {name.strip("_"): letter for name, letter in GREEK.items()} | {
    "infty": "∞",
    "ell": "ℓ",
}
FUNCTIONS = ("log", "exp", "max", "min", "dim")
OPERATORS = {
    **{
        "sum": "∑",
        "int": "∫",
        "cdot": "⋅",
        "odot": "⊙",
        "times": "×",
        "sim": "∼",
        "le": "≤",
        "ge": "≥",
    },
    **{"approx": "≈", "to": "→", "in": "∈", "ne": "≠", "partial": "∂", "nabla": "∇", "Vert": "‖"},
    **{
        "mid": "|",
        "ldots": "…",
        "propto": "∝",
        "quad": "\u2003",
        "circ": "∘",
        "ll": "≪",
        "mapsto": "↦",
    },
}
ACCENTS = {"hat": "^", "tilde": "~", "bar": "¯"}
LIMITS = ("sum", "int", "max", "min")
"""Symbols whose indices are written above and below."""
TOKEN = re.compile(r"\\[A-Za-z]+|\\[,{}]|\d+(?:\.\d+)?|[A-Za-z]|[^\s\\]")


def mathml(tex: str) -> str:
    r"""A formula in MathML, for display.

    Args:
      tex: the formula, in the part of TeX that the module describes.

    Raises:
      ValueError: if a command is unknown or a brace is missing.

    Examples:
      >>> mathml(r"\frac{1}{2}")
      '<math display="block"><mrow><mfrac><mn>1</mn><mn>2</mn></mfrac></mrow></math>'
    """
    # Text is kept with its spaces, which tokens have none of.
    words: list[str] = []

    def keep(found: re.Match[str]) -> str:
        words.append(found[1])
        return rf"\text{{{len(words) - 1}}}"

    tokens = TOKEN.findall(re.sub(r"\\text\{([^}]*)\}", keep, tex))
    parser = _Parser(tokens, words, tex)
    return f'<math display="block"><mrow>{parser.row(None)}</mrow></math>'


class _Parser:
    def __init__(self, tokens: list[str], words: list[str], tex: str):
        self._tokens, self._words, self._tex = tokens[::-1], words, tex

    def row(self, end: str | None) -> str:
        """Everything up to a closing brace, or to the end."""
        parts = []
        while self._tokens and self._tokens[-1] != "}":
            parts.append(self._with_indices())
        if end is not None:
            self._next()
        elif self._tokens:
            raise ValueError(f"a brace too many in {self._tex!r}")
        return "".join(parts)

    def _next(self) -> str:
        if not self._tokens:
            raise ValueError(f"{self._tex!r} ends too early")
        return self._tokens.pop()

    def _with_indices(self) -> str:
        limits = self._tokens[-1].lstrip("\\") in LIMITS
        base = self._atom()
        indices: dict[str, str] = {}
        while self._tokens and self._tokens[-1] in "^_":
            kind = self._next()
            indices[kind] = self._atom()
        names = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
        if len(indices) == 2:
            return f"<{names[2]}>{base}{indices['_']}{indices['^']}</{names[2]}>"
        if not indices:
            return base
        name = names[0] if "_" in indices else names[1]
        return f"<{name}>{base}{next(iter(indices.values()))}</{name}>"

    def _atom(self) -> str:
        token = self._next()
        if token == "{":
            return f"<mrow>{self.row('}')}</mrow>"
        if not token.startswith("\\"):
            if token.isalpha():
                return _letter(token)
            return f"<mn>{token}</mn>" if token[0].isdigit() else _operator(token)
        name = token[1:]
        if name == "frac":
            return f"<mfrac>{self._argument()}{self._argument()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self._argument()}</msqrt>"
        if name == "text":
            self._next()
            words = self._words[int(self._next())]
            self._next()
            return f"<mtext>{html.escape(words)}</mtext>"
        if name == "mathbf":
            return f'<mstyle style="font-weight:bold">{self._argument()}</mstyle>'
        if name in ACCENTS:
            accent = f"<mo>{ACCENTS[name]}</mo>"
            return f'<mover accent="true">{self._argument()}{accent}</mover>'
        if name in IDENTIFIERS:
            return _letter(IDENTIFIERS[name])
        if name in FUNCTIONS:
            return f'<mi>{name}</mi><mspace width="0.17em"/>'
        if name in OPERATORS:
            return _operator(OPERATORS[name])
        if name == ",":
            return '<mspace width="0.17em"/>'
        if name in "{}":
            return _operator(name)
        raise ValueError(f"unknown command {token} in {self._tex!r}")

    def _argument(self) -> str:
        if self._next() != "{":
            raise ValueError(f"an argument without braces in {self._tex!r}")
        row = self.row("}")
        alone = re.fullmatch(r"<(m[a-z]+)(?: [^>]*)?>[^<]*</\1>", row)
        return row if alone else f"<mrow>{row}</mrow>"


def _letter(letter: str) -> str:
    # The style sheet makes these italic: mathematical italics have an h that many fonts lack.
    return f'<mi mathvariant="normal">{letter}</mi>'


def _operator(text: str) -> str:
    # Bars and parentheses keep the size of the text; the signs of norms have no space around them.
    if text in "|‖()[]":
        space = ' lspace="0.1em" rspace="0.1em"' if text == "|" else ""
        space = ' lspace="0" rspace="0"' if text == "‖" else space
        return f'<mo stretchy="false"{space}>{text}</mo>'
    return f"<mo>{html.escape('−' if text == '-' else text)}</mo>"
