"""Flow matching: where the velocity leads, restarts, guidance, and the noise that samples start from."""

from __future__ import annotations

import pytest
import torch

from icsg3d_models.networks.layers.flow import guided, integrate, restarted
from icsg3d_models.networks.layers.noise import Rows, noise_of

MEAN, SPREAD = 3.0, 0.5


def to_normal(z: torch.Tensor, t: float) -> torch.Tensor:
    """Return the exact velocity between N(0, 1) and N(m, s²)."""
    variance = (1 - t) ** 2 + (t * SPREAD) ** 2
    return MEAN + (t * SPREAD**2 - (1 - t)) / variance * (z - t * MEAN)


def test_flow_from_noise_to_a_normal_distribution() -> None:
    """With the exact velocity it is known where every point ends: m + s x."""
    noise = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(integrate(to_normal, noise, 100), MEAN + SPREAD * noise, atol=2e-3, rtol=0)


def test_restarts_keep_what_is_right_and_mend_what_is_wrong() -> None:
    generator = torch.Generator().manual_seed(0)

    def fresh(number: int) -> torch.Tensor:
        return torch.randn(20_000, generator=generator)

    kept = restarted(to_normal, MEAN + SPREAD * fresh(0), fresh, 2)
    assert kept.mean() == pytest.approx(MEAN, abs=0.02)
    assert kept.std() == pytest.approx(SPREAD, abs=0.02)

    def wrong_at_first(z: torch.Tensor, t: float) -> torch.Tensor:
        return to_normal(z, t) + (4.0 if t < 0.19 else 0.0)

    once = integrate(wrong_at_first, fresh(0), 20)
    mended = restarted(wrong_at_first, once, fresh, 2)
    assert abs(once.mean() - MEAN) > 0.2
    assert abs(mended.mean() - MEAN) < 0.1 * abs(once.mean() - MEAN)
    torch.testing.assert_close(restarted(to_normal, once, fresh, 0), once, atol=0, rtol=0)


def test_guidance_extrapolates() -> None:
    def velocity(z: torch.Tensor, time: float, wanted: torch.Tensor) -> torch.Tensor:
        return z + wanted

    z = torch.tensor([1.0])
    assert guided(velocity, torch.tensor([2.0]), torch.tensor([0.0]), 3.0)(z, 0.5).tolist() == [7.0]
    assert guided(velocity, torch.tensor([2.0]), torch.tensor([0.0]), 1.0)(z, 0.5).tolist() == [3.0]


def test_streams_of_noise_have_nothing_in_common() -> None:
    noise = [noise_of(list(range(50)), (40,), 7, stream) for stream in range(4)]
    noise.append(noise_of(list(range(50)), (40,), 7 + 2**32))
    for i, one in enumerate(noise):
        assert one.std() == pytest.approx(1, abs=0.05)
        for other in noise[:i]:
            assert abs((one * other).mean()) < 0.1
    assert noise_of([3], (40,), 7).equal(noise[0][3:4])


def test_rows_of_one_stream_are_the_same_however_many_are_drawn() -> None:
    whole, pieces = Rows(3, 1), Rows(3, 1)
    expected = whole.normal(50, 7)
    assert torch.cat([pieces.normal(n, 7) for n in (1, 20, 29)]).equal(expected)
    assert Rows(3, 1).normal(5, 7).equal(expected[:5])
    for other in (Rows(3, 2), Rows(4, 1)):
        assert abs((other.normal(50, 7) * expected).mean()) < 0.15
    assert Rows(3, 1).uniform(9, 4).equal(Rows(3, 1).uniform(20, 4)[:9])
