"""Fault: what is wrong with a bundle; the public border says of which one, and what to do."""


class Fault(Exception):
    """A part of a bundle that is damaged, or not what it claims to be."""


def shown(text: str, most: int = 80) -> str:
    """A text for a message, cut and without control characters."""
    return ascii(text if len(text) <= most else f"{text[:most]}...")
