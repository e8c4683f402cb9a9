"""What looks private, and what only looks like it."""

import pytest

from builder.importing import privacy


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to ana.ng+x@mail.example.co.uk.", "mail address"),
        ("<jürgen@münchen.example>", "mail address"),
        ("sk-proj-abcdefghijklmnopqrstuvwx1234", "key or password"),
        ("OPENAI_API_KEY=sk-abcdefghijklmnopqrst", "key or password"),
        ("ghp_" + "a1B2" * 9, "key or password"),
        ("hf_" + "a1B2" * 9, "key or password"),
        ("AKIAIOSFODNN7EXAMPLE", "key or password"),
        ("-----BEGIN RSA PRIVATE KEY-----", "key or password"),
        ("password: hunter22", "key or password"),
        ("DE89 3704 0044 0532 0130 00", "IBAN"),
        ("GB82WEST12345698765432", "IBAN"),
        ("FR1420041010050500013M02606", "IBAN"),
        ("+49 30 1234567", "phone number"),
        ("+1 (212) 555-0199", "phone number"),
        ("(212) 555-0199", "phone number"),
        ("212-555-0199", "phone number"),
        ("06 12 34 56 78", "phone number"),
        ("030 / 123 45 67", "phone number"),
        ("0086 138 1234 5678", "phone number"),
        ("电话13812345678。", "phone number"),
    ],
)
def test_what_looks_private_is_found_once(text, kind):
    """Each kind is found in a sentence, as itself alone."""
    assert privacy.find(f"It is {text} today.") == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-01-02 at 12:30:45, or 01.02.2024, or 01-02-2024.",
        "ISBN 978-3-16-148410-0, version 1.2.3.4, address 192.168.100.200",
        "3.14159265358979, 0.000123456, 1,234,567.89, 10000000000",
        "DE89 3704 0044 0532 0130 01 has another checksum",
        "a@b, @ana, foo@bar, x @ y.com, sk-learn, ask-me-anything, sk_",
        "def f(a): return a + 12345678",
        "2 + 2 = 4; 0 1 2 3 4 5 6 7 8 9",
        "commit 1f37401c9a8b7c6d5e4f, 550e8400-e29b-41d4-a716-446655440000",
        "Which password do I need? The API key is secret.",
        "ÄÖÜ 二〇二四年一月二日",
    ],
)
def test_what_only_looks_like_it_is_not(text):
    """Dates, numbers, versions, hashes and words about secrets are nothing private."""
    assert privacy.find(text) == {}


def test_several_are_counted():
    """Each is counted, and what one kind took no other counts again."""
    text = "a@b.example, c@d.example, DE89370400440532013000, +49 30 1234567, password: 030-1234567"

    assert privacy.find(text) == {
        "mail address": 2,
        "IBAN": 1,
        "phone number": 1,
        "key or password": 1,
    }


def test_a_long_run_of_digits_is_read_once():
    """A pattern that tries every way to part a run of digits would not end before the timeout."""
    assert privacy.find("+49" + "1" * 5000 + "_") == {}
    assert privacy.find("1-" * 20_000 + "+1" + " 2" * 20_000 + "_" + "a" * 50_000) == {}


def test_a_long_run_of_beginnings_is_read_once():
    """So that text of which each word may begin a key is not read from each of them."""
    assert privacy.find("-eyJ" * 100_000) == {}
    assert privacy.find("(eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2)") == {
        "key or password": 1
    }
