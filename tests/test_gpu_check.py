"""scripts/gpu_check: what it does with a card is tried on the CPU, and without one it says so."""

import json
from pathlib import Path

import engines
import gpu_check
import pytest
import torch


def test_without_a_card_it_says_so_and_ends_with_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 2
    assert "finds no CUDA device on this machine: nothing was run" in capsys.readouterr().out


def test_where_values_agree_it_writes_a_table_and_ends_with_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engines.ROWS, "A", engines.SMALL)
    torch.set_default_dtype(torch.float32)
    file = tmp_path / "found.json"
    given = ["--device", "cpu", "--rounds", "1", "--rows", "A", "--json", str(file)]
    assert gpu_check.main(given) == 0
    found = json.loads(file.read_text())
    assert max(found["differences"].values()) == 0
    assert found["ms"]["A"]["sequence"] > 0


def test_where_values_differ_it_names_them_and_ends_with_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_check, "differences", lambda device: {"spikes": 0.0, "cells.v": 0.1})
    assert gpu_check.main(["--device", "cpu", "--rows"]) == 1
    assert "cells.v differ by more than 1e-09" in capsys.readouterr().out
