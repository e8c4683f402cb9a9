"""System: trained replies under the served system text."""

import dataclasses

import numpy as np
import pytest

from builder.data.dataset import Example
from builder.gates import system
from tests.evaluation.samples import SUBJECT, evidence


class Reader:
    """Stands in for a loaded file: finds each reply token as likely as the prompt's length says."""

    def render(self, messages, _tools):
        """Give the texts, one after the other."""
        return "".join(message["content"] for message in messages)

    def tokenize(self, text):
        """Give a token a character."""
        return [0] * len(text)

    def next_log_probs(self, ids):
        """Give every token a log-probability that falls with the text's length."""
        return np.full((len(ids), 9), -len(ids) / 100, np.float32)


def test_the_served_system_text_is_weighed_on_trained_replies():
    """A text that makes trained replies less likely fails; without one it does not apply."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    rows = [
        Example([{**messages[0], "content": f"Hi {number}"}, messages[1]], [1, 2, 3], [-100, 2, 3])
        for number in range(12)
    ]

    def judged(text):
        subject = dataclasses.replace(SUBJECT, system=text)
        return system.judge(evidence(subject, model=Reader(), rows=rows))

    assert judged("x" * 40).verdict == "fail"
    assert judged("x" * 40).figures["added_nats"] == pytest.approx(0.4, abs=1e-5)
    assert judged("x").verdict == "pass"
    assert judged(None).verdict == "does not apply"
