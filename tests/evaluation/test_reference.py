"""What is recorded at the reference texts."""

import numpy as np
import pytest

from builder.errors import NotBuiltError
from builder.evaluation import reference
from builder.evaluation.texts import Text


def test_a_reference_keeps_the_likeliest_of_each_position(tmp_path):
    """What is recorded is read: the likeliest tokens in order, and the base's labels."""
    text = Text("neutral", [3, 1, 2], [3, 1, 2])
    given = {
        name: np.log(np.random.default_rng(seed).dirichlet(np.ones(100), 3))
        for name, seed in (("persona", 0), ("base", 1))
    }

    reference.record(
        [text],
        lambda _texts: [given["persona"]],
        lambda _texts: [given["base"]],
        tmp_path / "reference.safetensors",
    )
    found = reference.read(tmp_path / "reference.safetensors")

    assert found.texts == [text]
    for distribution, name in ((found.persona[0], "persona"), (found.base[0], "base")):
        order = np.argsort(-given[name], axis=1)[:, : reference.LIKELIEST]
        assert distribution.ids.tolist() == order.tolist()
        assert distribution.log_probs == pytest.approx(
            np.take_along_axis(given[name], order, 1), abs=1e-5
        )
    assert found.base_label_log_probs[0] == pytest.approx(
        [given["base"][0, 1], given["base"][1, 2]], abs=1e-5
    )


@pytest.mark.parametrize("content", [b"", b"null", b"x" * 99, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_reference_is_told(tmp_path, content):
    """Half a file, or one without what is expected, is one sentence."""
    path = tmp_path / "reference.safetensors"
    path.write_bytes(content)

    with pytest.raises(NotBuiltError, match=r"reference\.safetensors: cannot be read"):
        reference.read(path)
