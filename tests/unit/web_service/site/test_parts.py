"""Rate limits, attempts, keys and customers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scorehouse.rate_limit import MOST_CLIENTS, RateLimit
from scorehouse.settings import Settings
from tests.unit.web_service.conftest import CUSTOMER, Time
from web_service.offers.customers import ensure_customers
from web_service.offers.sqlite_store import SqliteStore
from web_service.offers.store import (
    CLIENT_RULE,
    NUMBER_RULE,
    Attempts,
    LockRule,
    clear_attempts,
    client_key,
    count_attempt,
)
from web_service.site.visitors import secret_key


def test_a_bucket_is_full_at_first_and_fills_steadily() -> None:
    time = Time()
    limit = RateLimit(1, 60, time.monotonic)
    assert [limit.take("a") for _ in range(60)] == [0.0] * 60
    assert limit.take("a") == pytest.approx(1.0)
    assert limit.take("b") == 0
    time.uptime += 2
    assert [limit.take("a"), limit.take("a"), limit.take("a") > 0] == [0, 0, True]
    time.uptime += 86400
    assert [limit.take("a") for _ in range(60)] == [0.0] * 60
    assert limit.take("a") > 0


def test_what_counts_for_several_takes_so_many_tokens_or_none() -> None:
    time = Time()
    limit = RateLimit(10, 100, time.monotonic)
    assert [limit.take("a", 60), limit.left("a")] == [0, 0]
    assert [limit.take("a", 60), limit.left("a"), limit.left("b")] == [pytest.approx(2.0), pytest.approx(2.0), 0]
    assert [limit.take("a", 40), limit.left("a")] == [0, 0]
    time.uptime += 6
    assert limit.take("a", 60) == 0


def test_memory_is_bounded_however_many_clients_come() -> None:
    limit = RateLimit(1 / 60, 1, Time().monotonic)
    for n in range(MOST_CLIENTS + 10):
        limit.take(str(n))
    assert len(limit._buckets) == MOST_CLIENTS


def test_a_hundred_attempts_at_once_count_as_a_hundred(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.db")
    with ThreadPoolExecutor(8) as pool:
        allowed = [
            until == 0 for until in pool.map(lambda _: count_attempt(store, "17", "192.0.2.1", 1000.0), range(100))
        ]
    store.close()
    assert sum(allowed) == CLIENT_RULE.free


@pytest.mark.parametrize(("rule", "seconds"), [(CLIENT_RULE, 24 * 3600), (NUMBER_RULE, 3600)])
def test_a_lock_is_never_longer_than_its_rule_allows(rule: LockRule, seconds: float) -> None:
    attempts = Attempts(10**6, 0.0).after_failure(1000.0, rule)
    assert attempts.locked_until == 1000.0 + seconds


def test_nobody_locks_a_number_for_others_from_one_address(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "c.db")
    now = 0.0
    while now < 30 * 86400:  # it tries again as soon as it may, for a month
        now = count_attempt(store, "17", "203.0.113.9", now) or now
    assert count_attempt(store, "17", "203.0.113.9", now - 1) > now - 1
    assert count_attempt(store, "17", "192.0.2.1", now) == 0
    assert store.attempts("17").failures < NUMBER_RULE.free
    store.close()


def test_many_addresses_together_are_slowed_down(tmp_path: Path) -> None:
    """A new address for each guess, as soon as one may be made: about one an hour is left."""
    store = SqliteStore(tmp_path / "c.db")
    now, guesses = 0.0, 0
    while now < 7 * 86400:
        locked_until = count_attempt(store, "17", f"10.0.{guesses // 250}.{guesses % 250}", now)
        guesses += not locked_until
        now = max(now, locked_until)
    assert NUMBER_RULE.free + 7 * 24 - 3 <= guesses <= NUMBER_RULE.free + 7 * 24 + 3
    clear_attempts(store, "17", "192.0.2.1")
    assert count_attempt(store, "17", "192.0.2.1", now) == 0
    store.close()


def test_a_client_is_an_ipv4_address_or_an_ipv6_network() -> None:
    assert client_key("17", "192.0.2.1") == "17 192.0.2.1"
    assert client_key("17", "2001:db8::1") == client_key("17", "2001:db8::ffff:1") == "17 2001:db8::/64"
    assert client_key("17", "2001:db8:0:1::1") != client_key("17", "2001:db8::1")
    assert client_key("17", "unix:") == "17 unix:"


def test_a_key_is_created_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    first = secret_key(path)
    assert len(first) == 32 and secret_key(path) == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_bytes(b"short")
    with pytest.raises(ValueError, match="remove it"):
        secret_key(tmp_path / "secret.key")


def test_sample_customers_fill_only_an_empty_store_and_leave_when_real_ones_come(tmp_path: Path) -> None:
    from use_cases.insurance import use_case

    store = SqliteStore(tmp_path / "c.db")
    ensure_customers(store, Settings(use_case="insurance"))
    made_up = store.made_up_customer()
    assert made_up is not None and made_up["ID"] == "1"
    store.clear_attempts("1")

    import pandas as pd

    table = pd.DataFrame(use_case.sample(50, 3, 0.0)).assign(ID=lambda t: t["ID"] + 1000)
    table.to_csv(tmp_path / "real.csv.gz", sep=";", index=False)
    real = Settings(use_case="insurance", data=str(tmp_path / "real.csv.gz"))
    ensure_customers(store, real)
    assert store.made_up_customer() is None and store.customer("1") is None
    found = store.customer("1001")
    assert found is not None and found.keys() == CUSTOMER.keys()
    store.add_customers([{**found, "cost_per_claim": -1.0}])
    ensure_customers(store, real)  # the store has them: nothing is read
    ensure_customers(store, Settings(use_case="insurance"))
    assert (store.customer("1001") or {})["cost_per_claim"] == -1.0
    assert store.made_up_customer() is None
    store.close()
