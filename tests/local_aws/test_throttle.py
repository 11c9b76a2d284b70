from __future__ import annotations

import pytest

from include.local_aws.errors import ServiceError
from include.local_aws.signatures import Caller
from include.local_aws.throttle import Throttle

CALLER = Caller(account="111122223333", region="us-east-1")


def admitted(throttle: Throttle, operation: str, calls: int, caller: Caller = CALLER) -> int:
    for number in range(calls):
        try:
            throttle.take(caller, operation)
        except ServiceError:
            return number
    return calls


@pytest.mark.parametrize(("operation", "rate"), [("ListDatasetEntries", 5), ("TagResource", 10)])
def test_a_second_admits_its_quota_and_the_next_one_again(operation: str, rate: int) -> None:
    now = 100.0
    throttle = Throttle(clock=lambda: now)
    assert admitted(throttle, operation, 50) == rate
    now += 0.4
    assert admitted(throttle, operation, 50) == int(rate * 0.4)
    now += 60
    assert admitted(throttle, operation, 50) == rate


def test_operations_accounts_and_regions_have_quotas_of_their_own() -> None:
    throttle = Throttle(clock=lambda: 0.0)
    assert admitted(throttle, "DescribeDataset", 9) == 5
    assert admitted(throttle, "CreateDataset", 9) == 5
    assert admitted(throttle, "DescribeDataset", 9, Caller(account="444455556666", region="us-east-1")) == 5
    assert admitted(throttle, "DescribeDataset", 9, Caller(account="111122223333", region="eu-west-1")) == 5


def test_the_refusal_is_one_that_clients_retry() -> None:
    throttle = Throttle(clock=lambda: 0.0)
    assert admitted(throttle, "DescribeDataset", 5) == 5
    with pytest.raises(ServiceError, match="ProvisionedThroughputExceededException"):
        throttle.take(CALLER, "DescribeDataset")
