"""Bombs in XGBoost and LightGBM files: for `tests.support.bombs`, which collects them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost

# Writes the bomb and gives its path.
Make = Callable[[Path], Path]
_HUGE = 10**9
ROWS = np.random.default_rng(0).normal(size=(200, 4))


def xgboost_model(change: Callable[[dict[str, Any]], object]) -> Make:
    """A trained booster, whose JSON is changed."""

    def make(folder: Path) -> Path:
        data = xgboost.DMatrix(ROWS, label=ROWS[:, 0] * 3 + ROWS[:, 1])
        booster = xgboost.train({"max_depth": 4, "nthread": 1}, data, 3)
        document = json.loads(booster.save_raw("json"))
        change(document["learner"])
        (folder / "model.json").write_text(json.dumps(document))
        return folder / "model.json"

    return make


def _trees(learner: dict[str, Any]) -> list[dict[str, Any]]:
    trees: list[dict[str, Any]] = learner["gradient_booster"]["model"]["trees"]
    return trees


def _put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], object]:
    """Sets one value deep in the learner."""

    def change(learner: dict[str, Any]) -> None:
        place: Any = learner
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


_FIRST_TREE = ("gradient_booster", "model", "trees", 0)


def _in_every_tree(key: str, index: int, value: int) -> Callable[[dict[str, Any]], object]:
    def change(learner: dict[str, Any]) -> None:
        for one in _trees(learner):
            one[key][index] = value

    return change


def _cycle(learner: dict[str, Any]) -> None:
    for one in _trees(learner):
        one["left_children"][0] = one["right_children"][0] = 0


def _text(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


XGBOOST: dict[str, Make] = {
    "a tree whose root is its own child": xgboost_model(_cycle),
    "a child that is far away": xgboost_model(_in_every_tree("left_children", 0, 2**30)),
    "a child below the first": xgboost_model(_in_every_tree("left_children", 0, -1000000)),
    "a feature that is far away": xgboost_model(_in_every_tree("split_indices", 0, 2**30)),
    "a tree that claims 2^31 nodes": xgboost_model(
        _put(*_FIRST_TREE, "tree_param", "num_nodes", value=str(2**31 - 1))
    ),
    "10^9 trees that are not there": xgboost_model(
        _put("gradient_booster", "model", "gbtree_model_param", "num_trees", value=str(_HUGE))
    ),
    "10^9 classes": xgboost_model(_put("learner_model_param", "num_class", value=str(_HUGE))),
    "10^9 targets": xgboost_model(_put("learner_model_param", "num_target", value=str(_HUGE))),
    "10^9 features": xgboost_model(_put("learner_model_param", "num_feature", value=str(_HUGE))),
    "a million brackets": _text("model.json", b'{"learner":' + b"[" * 1_000_000),
    "a million brackets that are closed": _text(
        "model.json", b'{"learner":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"
    ),
    "a list of 2^62 in UBJSON": _text(
        "model.ubj", b"{L\0\0\0\0\0\0\0\x07learner[$d#L\x40" + b"\0" * 7 + b"}"
    ),
    "a text of 2^62 in UBJSON": _text("model.ubj", b"{L\0\0\0\0\0\0\0\x07learnerSL\x40" + b"\0" * 7 + b"}"),
}


def lightgbm_model(**changes: str) -> Make:
    """A trained booster, of whose text some lines are replaced, in every tree."""

    def make(folder: Path) -> Path:
        data = lightgbm.Dataset(ROWS, label=ROWS[:, 0] * 3 + ROWS[:, 1], params={"verbose": -1})
        booster = lightgbm.train({"num_leaves": 4, "verbose": -1, "num_threads": 1}, data, 3)
        lines = booster.model_to_string().splitlines()
        # Without the sizes of the trees, which would betray the change, LightGBM looks for their ends itself.
        kept = (line for line in lines if "tree_sizes" in changes or not line.startswith("tree_sizes="))
        changed = [
            f"{key}={changes[key]}" if (key := line.partition("=")[0]) in changes else line for line in kept
        ]
        (folder / "model.txt").write_text("\n".join(changed) + "\n")
        return folder / "model.txt"

    return make


LIGHTGBM: dict[str, Make] = {
    "a tree whose root is its own child": lightgbm_model(left_child="0 0 0", right_child="0 0 0"),
    "a leaf that is far away": lightgbm_model(left_child="-1000000000 -1000000000 -1000000000"),
    "a node that is far away": lightgbm_model(left_child="1000000000 1000000000 1000000000"),
    "a feature that is far away": lightgbm_model(split_feature="1000000000 1000000000 1000000000"),
    "10^9 leaves": lightgbm_model(num_leaves=str(_HUGE)),
    "a negative number of leaves": lightgbm_model(num_leaves="-7"),
    "10^9 categories": lightgbm_model(num_cat=str(_HUGE)),
    "10^9 classes": lightgbm_model(num_class=str(_HUGE), num_tree_per_iteration=str(_HUGE)),
    "10^9 features": lightgbm_model(max_feature_idx=str(_HUGE)),
    "sizes of trees that are lies": lightgbm_model(tree_sizes="1000000000 -5 7"),
}
