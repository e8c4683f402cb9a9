"""How far a file is from its reference."""

import numpy as np
import pytest

from builder.evaluation import distance
from builder.evaluation.reference import Distribution, Reference
from builder.evaluation.texts import Text


def test_divergence_is_zero_only_for_the_same():
    """The divergence of a distribution from itself is nothing, from another something."""
    logs = np.log(np.array([[0.7, 0.2, 0.1]]))
    same = Distribution(np.array([[0, 1]], np.int32), logs[:, :2].astype(np.float32))

    assert distance.divergence(same, logs)[0] == pytest.approx(0, abs=1e-6)
    assert distance.divergence(same, np.log(np.array([[0.1, 0.2, 0.7]])))[0] > 1


class Uniform:
    """Stands in for a loaded file: each of four tokens is as likely; counts its calls."""

    asked = 0

    def next_log_probs(self, ids):
        """Give the logarithm of a quarter everywhere."""
        self.asked += 1
        return np.full((len(ids), 4), np.log(0.25), np.float32)


def test_a_distance_is_measured_once_a_file(tmp_path):
    """Of the same file and reference the same figures are read; of another it is measured."""
    sure, even = (
        Distribution(np.zeros((3, 1), np.int32), np.full((3, 1), np.log(share), np.float32))
        for share in (0.97, 0.25)
    )
    reference, file = (
        Reference([Text("neutral", [1, 2, 3], [1, 2, 3])], [sure], [even], [np.zeros(2)]),
        Uniform(),
    )

    first = distance.measure_once(file, reference, tmp_path / "distances.json", "one")
    again = distance.measure_once(file, reference, tmp_path / "distances.json", "one")

    assert file.asked == 1
    assert [{name: values.tolist() for name, values in vars(one).items()} for one in first] == [
        {name: values.tolist() for name, values in vars(one).items()} for one in again
    ]
    assert first[0].kl.shape == (3,)
    assert first[0].kl.min() > 1
    assert first[0].base_kl == pytest.approx(0, abs=1e-6)
    assert first[0].losses == pytest.approx([np.log(4)] * 2, abs=1e-6)
    distance.measure_once(file, reference, tmp_path / "distances.json", "two")
    assert file.asked == 2
