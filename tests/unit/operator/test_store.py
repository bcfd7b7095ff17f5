"""`store`: memory never goes back in time, and knows what the operator itself has done before the watches tell it."""

import msgspec
import pytest

from modelyard_operator import naming, store
from modelyard_operator.objects import Kind
from tests.support.scripted_api import child

SERVICES = "services"
RAW = msgspec.json.encode


def there(memory: store.Store, name: str = "a", plural: str = SERVICES) -> int:
    return memory.version(plural, "ns", name)


def revision(name: str, version: int, instance: str = "iris") -> dict[str, object]:
    return {**child(name, version, instance), "kind": "ControllerRevision", "apiVersion": "apps/v1"}


@pytest.mark.parametrize("fresh", [0, 1, 1000])
def test_what_was_put_in_comes_out_the_same(fresh: int) -> None:
    memory = store.Store(fresh)
    first, second = child("a", 1, text="x" * 9000), child("b", 2, text="y")
    memory.put(SERVICES, RAW(first))
    memory.put(SERVICES, RAW(second))
    assert memory.get(SERVICES, "ns", "a") == first
    assert memory.get(SERVICES, "ns", "b") == second
    assert memory.get(SERVICES, "ns", "c") is None


def test_an_item_of_a_list_gets_its_kind() -> None:
    memory = store.Store()
    bare = {key: value for key, value in child("a", 1).items() if key not in ("apiVersion", "kind")}
    memory.put(SERVICES, RAW(bare))
    assert memory.get(SERVICES, "ns", "a") == child("a", 1)


@pytest.mark.parametrize("version", [3, 5])
def test_an_older_or_the_same_version_changes_nothing_and_concerns_nobody(version: int) -> None:
    memory = store.Store()
    assert memory.put(SERVICES, RAW(child("a", 5, "iris"))) == (("ns", "iris"),)
    assert memory.put(SERVICES, RAW(child("a", version, "rose"))) == ()
    assert memory.get(SERVICES, "ns", "a") == child("a", 5, "iris")


def test_versions_are_numbers() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 99)))
    memory.put(SERVICES, RAW(child("a", 100)))
    assert there(memory) == 100


def test_a_deletion_of_the_past_does_not_take_what_came_after_it() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 8)))
    assert memory.forget(SERVICES, RAW(child("a", 5))) == ()
    assert there(memory) == 8
    assert memory.forget(SERVICES, RAW(child("a", 9))) == (("ns", "a"),)
    assert there(memory) == 0


def test_an_object_that_changes_hands_concerns_both() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 1, "iris")))
    assert memory.put(SERVICES, RAW(child("a", 2, "rose"))) == (("ns", "iris"), ("ns", "rose"))


def test_an_own_write_is_there_at_once_and_its_event_is_nothing_new() -> None:
    memory = store.Store()
    memory.learn(child("a", 5))
    assert there(memory) == 5
    assert memory.put(SERVICES, RAW(child("a", 5))) == ()


def test_the_answer_to_a_write_that_comes_after_the_deletion_brings_nothing_back() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 5)))
    memory.forget(SERVICES, RAW(child("a", 6)))
    memory.advance(SERVICES, "", 6)
    memory.learn(child("a", 5))
    assert there(memory) == 0


def test_what_lacks_our_label_is_not_learned_because_no_watch_would_tell_of_it() -> None:
    memory = store.Store()
    memory.learn(child("a", 5, labels={}))
    assert there(memory) == 0


def test_what_we_deleted_does_not_come_back_with_a_late_event() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 5)))
    memory.bury(SERVICES, "ns", "a", "uid-a")
    assert there(memory) == 0
    assert memory.put(SERVICES, RAW(child("a", 6))) == ()
    assert there(memory) == 0


def test_what_we_deleted_and_something_holds_back_is_seen_leaving() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 5)))
    memory.bury(SERVICES, "ns", "a", "uid-a")
    leaving = child("a", 6, deletionTimestamp="2026-01-01T00:00:00Z")
    assert memory.put(SERVICES, RAW(leaving)) == (("ns", "a"),)
    assert memory.get(SERVICES, "ns", "a") == leaving


def test_its_successor_of_the_same_name_is_another_object() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 5)))
    memory.bury(SERVICES, "ns", "a", "uid-a")
    memory.put(SERVICES, RAW(child("a", 9, uid="uid-new")))
    assert there(memory) == 9


def test_only_the_object_that_was_deleted_is_buried() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 9, uid="uid-new")))
    memory.bury(SERVICES, "ns", "a", "uid-old")
    assert there(memory) == 9


def test_a_list_takes_what_it_lacks_but_not_what_is_newer_than_itself() -> None:
    memory = store.Store()
    for name, version in (("a", 5), ("b", 6), ("c", 12)):
        memory.put(SERVICES, RAW(child(name, version)))
    memory.put("deployments", RAW(child("a", 5)))
    assert memory.keep_only(SERVICES, "", [("ns", "b")], 10) == (("ns", "a"),)
    assert (there(memory, "a"), there(memory, "b"), there(memory, "c")) == (0, 6, 12)
    assert there(memory, "a", "deployments") == 5


def test_a_list_of_one_namespace_says_nothing_about_others() -> None:
    memory = store.Store()
    memory.put(SERVICES, RAW(child("a", 5)))
    assert memory.keep_only(SERVICES, "elsewhere", [], 10) == ()
    assert there(memory) == 5


def test_what_is_several_is_found_by_label_and_follows_a_change_of_it() -> None:
    memory = store.Store()
    plural = Kind.CONTROLLER_REVISION.plural
    for name in ("r2", "r1"):
        memory.put(plural, RAW(revision(name, 1)))
    memory.put(plural, RAW(revision("other", 1, "rose")))
    assert [each["metadata"]["name"] for each in memory.select(plural, "ns", "iris")] == ["r1", "r2"]
    memory.put(plural, RAW(revision("r1", 2, "rose")))
    assert [each["metadata"]["name"] for each in memory.select(plural, "ns", "iris")] == ["r2"]
    memory.forget(plural, RAW(revision("r2", 3)))
    assert memory.select(plural, "ns", "iris") == ()
    assert memory.observe("ns", "rose").revisions == memory.select(plural, "ns", "rose")


def test_a_live_read_that_found_nothing_drops_only_what_it_was_about() -> None:
    memory = store.Store()
    body = {**child("iris", 5), "kind": naming.KIND, "apiVersion": naming.API_VERSION}
    memory.put(naming.PLURAL, RAW(body))
    assert memory.resources() == (("ns", "iris"),)
    memory.drop(naming.PLURAL, "ns", "iris", 4)
    assert memory.resources() == (("ns", "iris"),)
    memory.drop(naming.PLURAL, "ns", "iris", 5)
    assert memory.resources() == ()


def test_thousands_of_alike_objects_take_little() -> None:
    memory = store.Store(fresh=2)
    for number in range(200):
        memory.put(SERVICES, RAW(child(f"model-{number}", number + 1, text="the same " * 900)))
    number, size = memory.counts()[SERVICES]
    assert number == 200
    assert size < 200 * 400  # of 9 KB each


def test_an_object_that_changes_again_and_again_pushes_no_other_out_of_what_is_kept_as_it_came() -> None:
    memory = store.Store(fresh=2)
    text = "the same " * 900
    memory.put(SERVICES, RAW(child("quiet", 1, text=text)))
    for version in range(2, 20):
        memory.put(SERVICES, RAW(child("busy", version, text=text)))
    assert memory.counts()[SERVICES][1] > 2 * len(text)
    memory.forget(SERVICES, RAW(child("busy", 20)))
    memory.put(SERVICES, RAW(child("other", 21, text=text)))
    assert memory.counts()[SERVICES][1] > 2 * len(text)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "x"}}'],
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        store.Store().put(SERVICES, raw)
