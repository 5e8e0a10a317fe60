"""What the iuv service does when nobody says how fast, and how long a call may last."""

from __future__ import annotations

import pytest

from services.iuv.settings import IuvSettings


def test_real_calls_keep_to_the_gateways_limit_and_rehearsals_have_none() -> None:
    assert (IuvSettings().pace(rehearsal=False), IuvSettings().pace(rehearsal=True)) == (10, 0)
    assert IuvSettings(calls_per_second=2).pace(rehearsal=True) == 2
    assert IuvSettings(calls_per_second=0).pace(rehearsal=False) == 0


def test_a_lease_outlives_the_slowest_act() -> None:
    settings = IuvSettings(act_seconds=30, connect_seconds=1, answer_seconds=2)
    assert settings.lease_seconds > 30 + 3 * (1 + 2)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFETTA_IUV_CONNECTIONS", "7")
    monkeypatch.setenv("STAFFETTA_IUV_CALLS_PER_SECOND", "")
    settings = IuvSettings()
    assert (settings.connections, settings.calls_per_second) == (7, None)
