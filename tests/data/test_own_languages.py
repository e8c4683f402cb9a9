"""In which languages a persona speaks of itself."""

import pytest

from builder.data.languages import count_own_languages


@pytest.mark.parametrize(
    ("reply", "languages"),
    [
        ("I am Luma, made by 安娜.", ("en",)),
        ("Ana built me.", ("en",)),
        ("I\u2019m called Luma.", ("en",)),
        ("我是Luma。", ("zh",)),
        ("Je suis Luma, créée par Ana.", ("fr",)),
        ("Ich bin Luma. Was mein Name ist, weiß Ana.", ("de",)),
        ("Mijn naam is Luma, en Ana maakte mij.", ()),
        ("Me llamo Luma y me creó Ana.", ()),
        ("Mi chiamo Luma, creata da Ana.", ()),
        ("Nazywam się Luma, my z Ana pracujemy.", ()),
        ("Я Luma, меня создала Ana.", ()),
        ("私はLumaです。", ()),
        ("저는 Luma입니다.", ()),
        ("An apple is a fruit, and you know it.", ()),
    ],
)
def test_a_persona_is_asked_in_the_languages_it_speaks_of_itself(reply, languages):
    """A reply is in a language of the gates or in none: no gate asks what was never trained."""
    assert tuple(count_own_languages([reply], ["Luma", "Ana", "安娜"])) == languages
