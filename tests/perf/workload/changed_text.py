"""Texts of files with something put in and the end cut off."""

from __future__ import annotations

from hypothesis import strategies as st


def changed_texts(good: str, alphabet: str) -> st.SearchStrategy[str]:
    """Return texts near one that is right, changed by up to six characters of an alphabet."""

    def changed(cut: int, place: int, other: str) -> str:
        text = good[:place] + other + good[place:]
        return text[: len(text) - cut]

    places = st.integers(0, len(good))
    return st.builds(changed, places, places, st.text(alphabet=alphabet, max_size=6))
