"""Bad flags are answered in one line, before the run folder is created."""

import numpy as np
import pytest

from experiments import (
    autoencoder,
    compose,
    contractive,
    deep_autoencoder,
    denoising,
    dropout,
    linear,
    vae,
)
from tests.experiments.running import ROOT, refused

BAD = {
    "an unknown data set": ["--dataset", "minst"],
    "a folder that is not there": ["--dataset", "no/such"],
    "a set that is not prepared": ["--dataset", "mnist", "--data-dir", "no/such"],
    "no epochs": ["--epochs", "0"],
    "epochs of None": ["--epochs", "None"],
    "no batch": ["--batch-size", "0"],
    "a batch that is too large": ["--batch-size", "100000"],
    "a code of zero": ["--code", "0"],
    "a code that is too large": ["--code", "65"],
    "a seed that is too large": ["--seed", "18446744073709551616"],
    "a negative seed": ["--seed", "-1"],
    "an image that is too large": ["--image-size", "60000"],
    "no width": ["--hidden", "0"],
    "a learning rate of zero": ["--learning-rate", "0"],
    "a learning rate that is not a number": ["--learning-rate", "nan"],
    "a negative decay": ["--weight-decay", "-1"],
    "a negative norm": ["--clip-norm", "-1"],
    "a negative warm-up": ["--warmup-steps", "-1"],
    "a dropout of one": ["--dropout", "1"],
    "a scale that is not used": ["--scale", "2"],
    "a negative scale": ["--likelihood", "gaussian", "--scale", "-2"],
    "a gate that is not used": ["--network", "conv", "--gated"],
    "no image size": ["--image-size", "0"],
    "no patience": ["--patience", "0"],
    "an unknown flag": ["--betta", "1"],
    "an unknown choice": ["--likelihood", "gauss"],
    "a word for a number": ["--epochs", "many"],
    "a run folder that is a file": ["--run-dir", "README.md"],
    "a folder that is not a run folder": ["--run-dir", "jaxae"],
}


BAD_VAE = {
    "a negative beta": ["--beta", "-1"],
    "a long warm-up": ["--beta-warmup", "2"],
    "cycles without a warm-up": ["--cycles", "3"],
    "no samples": ["--samples", "0"],
    "no nll samples": ["--nll-samples", "0"],
    "a beta that is not used": ["--importance-weighted", "--samples", "5", "--beta", "2"],
    "one sample": ["--importance-weighted"],
}


BAD_LINEAR = {
    "more components than values": ["--code", "65"],
    "no components": ["--code", "0"],
    "a flag of networks": ["--hidden", "20"],
}


BAD_DEEP = {
    "more components than values": ["--code", "65"],
    "no layer": ["--hidden"],
    "no width": ["--hidden", "8", "0"],
    "a negative noise": ["--noise", "-1"],
    "a negative shift": ["--shift", "-1"],
    "no epochs of the linear models": ["--linear-epochs", "0"],
}


BAD_DENOISING = {
    "noise and another corruption": ["--noise", "0.5", "--corrupt", "masking:0.3"],
    "a negative noise": ["--noise", "-0.5"],
    "an unknown corruption": ["--corrupt", "blur:0.3"],
    "a corruption without strength": ["--corrupt", "masking"],
    "a rate that is too large": ["--corrupt", "masking:1.5"],
    "a strength that is no number": ["--corrupt", "masking:much"],
    "a strength that is not used": ["--corrupt", "grayscale:1"],
    "half a pixel": ["--corrupt", "downsample:2.5"],
    "no factor": ["--corrupt", "downsample:1"],
    "a block that is too large": ["--corrupt", "erase:1.1"],
    "grayscale of grey images": ["--corrupt", "grayscale"],
    "a code that is not used": ["--code", "10"],
    "a gate that is not used": ["--gated"],
    "a code that is too large": ["--network", "mlp", "--code", "65"],
}


BAD_CONTRACTIVE = {
    "no seeds": ["--seeds", "0"],
    "no epochs of the classifier": ["--classifier-epochs", "0"],
    "a negative weight": ["--contract", "-1"],
    "an unknown mode": ["--jacobian", "sideways"],
    "a negative noise": ["--noise", "-1"],
    "a negative noise of the classifier": ["--classifier-noise", "-1"],
    "a mask that is too large": ["--mask", "2"],
    "a code of zero": ["--code", "0"],
}


BAD_DROPOUT = {
    "a rate of one": ["--rates", "0", "1"],
    "a rate twice": ["--rates", "0.1", "0.1"],
    "no rates": ["--rates"],
    "rates that are printed alike": ["--rates", "0.3", "0.3000001"],
    "no layer": ["--hidden"],
    "--dropout beside --rates": ["--dropout", "0.5"],
}


BAD_COMPOSE = {
    "a mode without a penalty": ["--jacobian", "forward"],
    "a negative weight": ["--contract", "-1"],
    "importance weighting without a VAE": ["--importance-weighted", "5"],
    "one sample": ["--beta", "1", "--importance-weighted", "1"],
    "a beta that is not used": ["--beta", "2", "--importance-weighted", "5"],
    "a negative beta": ["--beta", "-1"],
    "an unknown sparsity": ["--sparse", "l2:1"],
    "a sparsity without weight": ["--sparse", "l1"],
    "a rate that is too large": ["--sparse", "kl:1:1.5"],
    "k larger than the code": ["--sparse", "top_k:21"],
    "a fractional k": ["--sparse", "top_k:2.5"],
    "top_k of a VAE": ["--sparse", "top_k:2", "--beta", "1"],
    "a tied VAE": ["--tied", "--beta", "1"],
    "tied convolutions": ["--tied", "--network", "conv"],
    "a tied gate": ["--tied", "--gated"],
    "tied dropout": ["--tied", "--dropout", "0.1"],
    "a tied code that is too large": ["--tied", "--code", "65"],
    "dropout without hidden layers": ["--dropout", "0.1", "--hidden"],
    "a tied decoder with several outputs": ["--tied", "--likelihood", "discretized_logistic"],
    "a unet": ["--network", "unet"],
    "an unknown corruption": ["--corrupt", "blur:1"],
    "grayscale of grey images": ["--corrupt", "grayscale"],
    "a code that is too large": ["--code", "65"],
}


BAD_AUTOENCODER = {
    "--code beside --sweep-code": ["--sweep-code", "2", "4", "--code", "8"],
    "a code twice": ["--sweep-code", "2", "2"],
    "a code of zero": ["--sweep-code", "0", "2"],
    "a sweep beyond the image": ["--sweep-code", "2", "65"],
    "a scale that a sweep does not use": ["--sweep-code", "2", "4", "--scale", "2"],
}


ALL_BAD = {
    vae: BAD | BAD_VAE,
    autoencoder: BAD_AUTOENCODER,
    linear: BAD_LINEAR,
    deep_autoencoder: BAD_DEEP,
    denoising: BAD_DENOISING,
    contractive: BAD_CONTRACTIVE,
    dropout: BAD_DROPOUT,
    compose: BAD_COMPOSE,
}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(module, arguments) for module, bad in ALL_BAD.items() for arguments in bad.values()],
    ids=[f"{module.__name__.split('.')[1]}: {n}" for module, bad in ALL_BAD.items() for n in bad],
)
def test_bad_input_gets_one_line(module, arguments, capsys, monkeypatch, tmp_path):
    given = ["--dataset", "digits", *arguments]
    if "--run-dir" not in arguments:
        given += ["--run-dir", tmp_path / "run"]
    monkeypatch.chdir(ROOT)
    said = refused(module, *given, monkeypatch=monkeypatch, capsys=capsys)
    assert len(said) < 600
    assert not (tmp_path / "run").exists()  # so that the corrected command can use it


def test_labels_are_needed_and_checked(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)
    for name, labels, message in (
        ("none", None, "has no labels"),
        ("one", np.zeros(60, np.int64), "the same label"),
        ("fractions", np.arange(60) / 2, "labels that are fractions"),
        ("unknown", np.arange(60) % 3 - 1, "have no label"),
    ):
        arrays = {"images": images} | ({} if labels is None else {"labels": labels})
        np.savez(tmp_path / f"{name}.npz", **arrays)
        folder = tmp_path / "run"
        c = contractive.Config(dataset=str(tmp_path / f"{name}.npz"), run_dir=str(folder))
        with pytest.raises(ValueError, match=message):
            contractive.main(c)
        assert not folder.exists()
