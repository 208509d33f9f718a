"""Other libraries: a torch loop with the data in memory, torch.func, and pythae's trainer."""

import contextlib
import io
import math
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, jacfwd, jacrev, vmap
from torch.nn import functional as F  # noqa: N812

from benchmarks.workloads import IMPORTANCE_SAMPLES, MODES, Workload


class TorchVae(nn.Module):
    """The dense and the convolutional VAE, and the deep autoencoder."""

    def __init__(self, workload: Workload):
        super().__init__()
        self.kind = workload.kind
        (h, w, c), widths, code = workload.shape, workload.widths, workload.latent_dim
        twice = 1 if workload.kind == "deep_ae" else 2
        layers: list[nn.Module] = []
        if workload.kind == "conv_vae":
            channels = (c, *widths)
            for a, b in zip(channels, channels[1:], strict=False):
                layers += [nn.Conv2d(a, b, 4, 2, 1), nn.ReLU()]
            self.small = (widths[-1], h >> len(widths), w >> len(widths))
            size = math.prod(self.small)
            self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, 2 * code))
            back = channels[::-1]
            layers = [nn.Linear(code, size), nn.Unflatten(1, self.small)]
            for a, b in zip(back, back[1:], strict=False):
                layers += [nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1)]
            self.decoder = nn.Sequential(*layers)
        else:
            sizes = (h * w * c, *widths)
            for a, b in zip(sizes, sizes[1:], strict=False):
                layers += [nn.Linear(a, b), nn.ReLU()]
            self.encoder = nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], twice * code))
            sizes = (code, *widths[::-1])
            layers = []
            for a, b in zip(sizes, sizes[1:], strict=False):
                layers += [nn.Linear(a, b), nn.ReLU()]
            last = nn.Linear(sizes[-1], h * w * c)
            self.decoder = nn.Sequential(*layers, last, nn.Unflatten(1, (c, h, w)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.encoder(x)
        if self.kind == "iwae":
            return self.importance_weighted(x, z)
        kl = torch.zeros(())
        if self.kind != "deep_ae":
            mean, log_var = z.chunk(2, 1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean()
        bce = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return bce / x.shape[0] + kl

    def importance_weighted(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        mean, log_var = z.chunk(2, 1)
        k, constant = IMPORTANCE_SAMPLES, 0.5 * math.log(2 * math.pi)
        noise = torch.randn(k, *mean.shape)
        z = mean + torch.exp(0.5 * log_var) * noise
        prior = (-0.5 * z.square() - constant).sum(2)
        posterior = (-0.5 * noise.square() - 0.5 * log_var - constant).sum(2)
        logits = self.decoder(z.flatten(0, 1)).reshape(k, *x.shape)
        target = x.expand(k, *x.shape)
        likelihood = -F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        log_weight = likelihood.sum((2, 3, 4)) + prior - posterior
        return -(torch.logsumexp(log_weight, 0) - math.log(k)).mean()


class TorchContractive(nn.Module):
    """Sigmoid layers and the squared norm of their Jacobian, by torch.func."""

    def __init__(self, workload: Workload, mode: str):
        super().__init__()
        sizes = (math.prod(workload.shape), *workload.widths, workload.latent_dim)
        layers: list[nn.Module] = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.Sigmoid()]
        self.encoder = nn.Sequential(*layers)
        layers = []
        for a, b in zip(sizes[::-1], sizes[-2::-1], strict=False):
            layers += [nn.Linear(a, b), nn.Sigmoid()]
        self.decoder = nn.Sequential(*layers[:-1])
        self.jacobian = jacfwd if mode == "forward" else jacrev

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        params = dict(self.encoder.named_parameters())

        def one(x: torch.Tensor) -> torch.Tensor:
            return functional_call(self.encoder, params, (x,))

        norm = vmap(self.jacobian(one))(x).square().sum((1, 2)).mean()
        outputs = self.decoder(self.encoder(x))
        bce = F.binary_cross_entropy_with_logits(outputs, x, reduction="sum")
        return bce / x.shape[0] + 0.1 * norm


def torch_trainer(
    workload: Workload, name: str, images: np.ndarray, variant: str
) -> Callable[[], float]:
    """A torch loop with the data in memory as bytes, and fused Adam."""
    torch.manual_seed(0)
    data = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    contractive = workload.kind == "contractive"
    model = TorchContractive(workload, MODES[name]) if contractive else TorchVae(workload)
    channels_last = variant.endswith("channels-last")
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    if "compile" in variant:
        model.compile()

    def run() -> float:
        steps, done = workload.images // workload.batch, 0
        started = time.perf_counter()
        while done < steps:
            for index in torch.randperm(len(data)).split(workload.batch):
                if len(index) < workload.batch or done == steps:
                    break
                x = data[index].float().div(255)
                if channels_last:
                    x = x.contiguous(memory_format=torch.channels_last)
                optimizer.zero_grad(set_to_none=True)
                loss = model(x)
                loss.backward()
                optimizer.step()
                done += 1
        return steps * workload.batch / (time.perf_counter() - started)

    return run


def pythae_trainer(workload: Workload, images: np.ndarray) -> Callable[[], float]:
    """Training with pythae's own trainer, and an MLP with the widths of the other contenders."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    c, h, w = workload.shape[2], *workload.shape[:2]
    pixels, (hidden,), code = c * h * w, workload.widths, workload.latent_dim

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU())
            self.mean, self.log_var = nn.Linear(hidden, code), nn.Linear(hidden, code)

        def forward(self, x):
            x = self.hidden(x.flatten(1))
            return ModelOutput(embedding=self.mean(x), log_covariance=self.log_var(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, pixels), nn.Sigmoid()
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z).reshape(-1, c, h, w))

    floats = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    dataset = BaseDataset(floats, torch.zeros(len(floats)))
    config = VAEConfig(input_dim=(c, h, w), latent_dim=code, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            trainer = BaseTrainer(
                model,
                train_dataset=dataset,
                training_config=BaseTrainerConfig(
                    output_dir=folder,
                    num_epochs=1,
                    per_device_train_batch_size=workload.batch,
                    optimizer_cls="Adam",
                    learning_rate=1e-3,
                    no_cuda=True,
                ),
            )
            trainer.prepare_training()
            started = time.perf_counter()
            trainer.train_step(epoch=1)
            seconds = time.perf_counter() - started
        return len(images) / seconds

    return run
