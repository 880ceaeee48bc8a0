"""Labels, annotations and taints: what is set, what is taken off, and what belongs to others."""

import pytest

from bootstrap.model import Record, Role, Taint
from bootstrap.plan import NodeMarks, actual_marks, mark_commands, mark_step, own_marks, unknown_node, wanted_marks
from tests.plan.world import make_host

NONE = NodeMarks({}, {}, {})


def changes(wanted: NodeMarks, actual: NodeMarks, owned: Record) -> list[str]:
    return [" ".join(command) for command in mark_commands(("kubectl",), "w1", wanted, actual, owned)]


@pytest.mark.parametrize(
    ("wanted", "actual", "owned", "command"),
    [
        ({}, {}, (), []),
        ({"a": "1"}, {}, (), ["kubectl label node w1 --overwrite a=1"]),
        ({"a": "1"}, {"a": "2"}, (), ["kubectl label node w1 --overwrite a=1"]),
        ({"a": "1"}, {"a": "1"}, (), []),
        ({"b": "1", "a": "1"}, {}, (), ["kubectl label node w1 --overwrite a=1 b=1"]),
        ({}, {"a": "1"}, ("a",), ["kubectl label node w1 --overwrite a-"]),
        ({}, {"a": "1"}, (), []),  # somebody else's
        ({}, {}, ("a",), []),  # gone already
        ({"a": ""}, {}, (), ["kubectl label node w1 --overwrite a="]),
        ({"a": ""}, {"a": ""}, (), []),
    ],
)
def test_labels_and_annotations(
    wanted: dict[str, str], actual: dict[str, str], owned: tuple[str, ...], command: list[str]
) -> None:
    assert changes(NodeMarks(wanted, {}, {}), NodeMarks(actual, {}, {}), Record(labels=owned)) == command
    annotated = changes(NodeMarks({}, wanted, {}), NodeMarks({}, actual, {}), Record(annotations=owned))
    assert annotated == [text.replace("label", "annotate") for text in command]


@pytest.mark.parametrize(
    ("wanted", "actual", "owned", "command"),
    [
        ({"k:NoSchedule": "k=v:NoSchedule"}, {}, (), ["kubectl taint node w1 --overwrite k=v:NoSchedule"]),
        (
            {"k:NoSchedule": "k=v:NoSchedule"},
            {"k:NoSchedule": "k=w:NoSchedule"},
            (),
            ["kubectl taint node w1 --overwrite k=v:NoSchedule"],
        ),
        (
            {},
            {"k:NoSchedule": "k=v:NoSchedule"},
            ("k:NoSchedule",),
            ["kubectl taint node w1 --overwrite k:NoSchedule-"],
        ),
        ({}, {"k:NoSchedule": "k=v:NoSchedule"}, (), []),
        (
            {"k:NoExecute": "k:NoExecute"},
            {"k:NoSchedule": "k:NoSchedule"},
            ("k:NoSchedule",),
            ["kubectl taint node w1 --overwrite k:NoExecute k:NoSchedule-"],
        ),
    ],
)
def test_taints(wanted: dict[str, str], actual: dict[str, str], owned: tuple[str, ...], command: list[str]) -> None:
    assert changes(NodeMarks({}, {}, wanted), NodeMarks({}, {}, actual), Record(taints=owned)) == command


def test_a_nodes_marks_are_read_as_the_api_gives_them() -> None:
    node = {
        "metadata": {"labels": {"a": "1"}, "annotations": None},
        "spec": {
            "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "only", "effect": "NoExecute"}]
        },
    }
    assert actual_marks(node) == NodeMarks(
        {"a": "1"}, {}, {"k:NoSchedule": "k=v:NoSchedule", "only:NoExecute": "only:NoExecute"}
    )
    assert actual_marks(None) == NONE
    assert actual_marks({}) == NONE


def test_a_pure_controller_wants_its_taint_and_others_do_not() -> None:
    taint = "node-role.kubernetes.io/control-plane:NoSchedule"
    assert wanted_marks(make_host("c1", Role.CONTROLLER, 1)).taints == {taint: taint}
    assert wanted_marks(make_host("c1", Role.CONTROLLER_WORKER, 1)).taints == {}
    assert wanted_marks(make_host("w1", Role.WORKER, 1)).taints == {}


def test_a_taint_that_the_person_gives_replaces_ours() -> None:
    given = Taint("node-role.kubernetes.io/control-plane", "true", "NoSchedule")
    host = make_host("c1", Role.CONTROLLER, 1, taints=(given,))
    assert list(wanted_marks(host).taints.values()) == [str(given)]


def test_values_stand_quoted_in_the_script() -> None:
    wanted = NodeMarks({}, {"note": "it's; rm -rf / $(x) `y`"}, {})
    step = mark_step("w1", "c1", ("k3s", "kubectl"), wanted, None, Record())
    assert step is not None
    assert """'note=it'"'"'s; rm -rf / $(x) `y`'""" in step.action.script  # type: ignore[union-attr]
    assert step.place == "c1"


def test_one_step_names_all_kinds_of_marks() -> None:
    wanted = NodeMarks({"a": "1"}, {"b": "2"}, {"k:NoSchedule": "k:NoSchedule"})
    step = mark_step("w1", "c1", ("kubectl",), wanted, None, Record())
    assert step is not None
    assert step.title == "set labels and annotations and taints of the node"
    assert step.reason == "the inventory says: a=1; b=2; k:NoSchedule"


def test_nothing_to_change_is_no_step() -> None:
    assert mark_step("w1", "c1", ("kubectl",), NONE, None, Record()) is None


def test_marks_of_a_node_that_nobody_sees_are_set_and_taken_off_by_the_record() -> None:
    owned = Record(labels=("old", "kept"), annotations=("note",), taints=("k:NoSchedule",))
    wanted = NodeMarks({"kept": ""}, {}, {})
    assert changes(wanted, actual_marks(unknown_node(owned)), owned) == [
        "kubectl label node w1 --overwrite kept= old-",
        "kubectl annotate node w1 --overwrite note-",
        "kubectl taint node w1 --overwrite k:NoSchedule-",
    ]


def test_a_record_keeps_what_is_yet_to_be_taken_off() -> None:
    wanted = NodeMarks({"b": "1"}, {}, {})
    assert own_marks(Record(), wanted, Record(labels=("a",), taints=("k:NoSchedule",))) == Record(
        labels=("a", "b"), taints=("k:NoSchedule",)
    )
    assert own_marks(Record(labels=("z",)), wanted, Record()) == Record(labels=("b",))
