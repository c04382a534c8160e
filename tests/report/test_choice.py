"""The rule of selection."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.report import ConstraintConfig, SelectConfig
from unlearning.errors import InputError
from unlearning.report.choice import Choice, check_rule, choose, write_choices
from unlearning.report.comparison_row import ComparisonRow, method_row, reference_rows
from unlearning.report.runs import Run

TARGET = {"utility": 0.8, "forget_knowledge": 1.0}


def row(label: str, finals: list[float], utility: float | None, lost: int = 0, forget: float = 0.5) -> ComparisonRow:
    """Return a method with a run for each final score; its index is the seed."""
    runs = [
        Run(
            Path("runs") / f"{label}{seed}",
            f"{label}{seed}",
            {"method": label, "seed": seed, "optimizer": {"lr": 0.001}},
            "finished",
            metrics={"final": final, "utility": utility, "forget_knowledge": forget},
            target=TARGET,
        )
        for seed, final in enumerate(finals)
    ]
    return method_row(label, runs, [Run(Path("runs") / f"lost{index}", "lost", {}, "failed") for index in range(lost)])


def choice(rows: Sequence[ComparisonRow], select: SelectConfig) -> Choice:
    """Return what the rule selects."""
    return choose(rows, reference_rows(rows[0].runs), select)


def chosen(rows: Sequence[ComparisonRow], select: SelectConfig) -> str | None:
    """Return the label of the selected method."""
    found = choice(rows, select).row
    return found.label if found else None


METHODS = [
    row("reckless", [0.9, 0.9], 0.59),
    row("steady", [0.6, 0.8], 0.6),
    row("lucky", [0.85, 0.5], 0.7, lost=1),
]


def test_the_best_mean_that_keeps_enough() -> None:
    """0.75 of 0.8 is 0.6: reckless keeps 0.59, too little; steady keeps it exactly and has 0.70, lucky 0.675."""
    found = choice(METHODS, SelectConfig())
    assert found.row is METHODS[1]
    assert found.threshold == pytest.approx(0.6)
    assert found.refused == ("reckless",)
    assert found.rule == (
        "highest mean final score over seeds, "
        "among methods with at least 0.75 of the untouched target's utility (0.600)"
    )
    assert (
        found.outcome == "steady (final score 0.700 0.60–0.80, utility 0.600); others that do not meet the condition: 1"
    )


@pytest.mark.parametrize(
    ("select", "label"),
    [
        (SelectConfig(constraint=None), "reckless"),
        (SelectConfig(by="utility"), "lucky"),
        (SelectConfig(constraint=ConstraintConfig(share_of_target=0.8)), "lucky"),
        (SelectConfig(constraint=ConstraintConfig(share_of_target=0.9)), None),
        (SelectConfig(by="forget_knowledge"), "steady"),
    ],
    ids=["free", "other_metric", "stricter", "nobody", "lower_is_better"],
)
def test_rules(select: SelectConfig, label: str | None) -> None:
    """Each rule selects another method."""
    assert chosen(METHODS, select) == label


def test_a_constraint_where_lower_is_better() -> None:
    """At most a tenth of the target's right answers to forget questions."""
    rows = [row("knows", [0.9], 0.7, forget=0.11), row("forgot", [0.5], 0.7, forget=0.1)]
    select = SelectConfig(constraint=ConstraintConfig("forget_knowledge", 0.1))
    assert chosen(rows, select) == "forgot"
    assert "at most 0.1 of the untouched target's forget knowledge" in choice(rows, select).rule


def test_what_the_outcome_says() -> None:
    """Nobody; seeds without a result; a tie, of which the first counts; a target that was not measured."""
    nobody = choice(METHODS, SelectConfig(constraint=ConstraintConfig(share_of_target=0.9)))
    assert nobody.outcome == "nothing, no method meets the condition"
    assert choice(METHODS[2:], SelectConfig()).outcome.endswith("; 1 of 3 without a result")
    assert chosen([row("a", [0.5], 0.7), row("b", [0.5], 0.7)], SelectConfig()) == "a"
    unknown = choice(METHODS, SelectConfig(constraint=ConstraintConfig("mia_score")))
    assert unknown.row is METHODS[0]
    assert "not checked" in unknown.rule
    empty = choice(METHODS, SelectConfig(by="task_aggregate"))
    assert (empty.row, empty.outcome) == (None, "nothing, no method has that number")


def test_a_method_without_the_constraints_number_is_not_allowed() -> None:
    """A method might have lost all of what the constraint asks for."""
    assert chosen([row("unknown", [0.9], None), row("known", [0.1], 0.7)], SelectConfig()) == "known"


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (SelectConfig(by="finale"), "select.by=finale: must be a metric of the runs, such as final"),
        (SelectConfig(by="mia_auc"), "select.by=mia_auc: must be a metric of which lower or higher is better"),
        (SelectConfig(constraint=ConstraintConfig("mmlu")), "select.constraint.metric=mmlu: must be a metric"),
    ],
)
def test_a_rule_about_no_metric_is_refused(select: SelectConfig, message: str) -> None:
    """The message is one line and names the key."""
    with pytest.raises(InputError, match=message):
        check_rule(select, METHODS[0].runs)


def test_a_metric_that_only_the_runs_know_needs_a_direction() -> None:
    """Of a key that begins with retain_ higher is better."""
    run = Run(Path("a"), "a", {}, "finished", metrics={"retain_new": 0.1, "new": 0.2})
    check_rule(SelectConfig(by="retain_new", constraint=None), [run])
    with pytest.raises(InputError, match="new"):
        check_rule(SelectConfig(by="new", constraint=None), [run])


@pytest.mark.parametrize("share", [0, -1, float("nan"), float("inf")])
def test_range_of_the_share(share: float) -> None:
    """The share must be above 0."""
    with pytest.raises(InputError, match=r"select\.constraint\.share_of_target"):
        check_ranges(ConstraintConfig(share_of_target=share), "select.constraint")


def test_file_of_the_selection(tmp_path: Path) -> None:
    """Rule, settings as dotted keys with their types, folders seen from the file, numbers with intervals."""
    moved = method_row("reckless", [replace(run, path=tmp_path / run.path) for run in METHODS[0].runs])
    found = choice([moved], SelectConfig(constraint=None))
    write_choices(tmp_path / "out" / "selection.json", {"setting": found})
    (record,) = json.loads((tmp_path / "out" / "selection.json").read_text())
    assert (record["compared"], record["by"], record["constraint"], record["threshold"]) == (
        "setting",
        "final",
        None,
        None,
    )
    assert record["rule"] == found.rule
    selected = record["selected"]
    assert selected["method"] == "reckless"
    assert selected["settings"] == {"method": "reckless", "optimizer.lr": 0.001}
    assert selected["runs"] == ["../runs/reckless0", "../runs/reckless1"]
    assert selected["numbers"]["final"] == {
        "mean": 0.9,
        "interval_95": None,
        "least": 0.9,
        "greatest": 0.9,
        "n": 2,
    }
    assert selected["numbers"]["task_aggregate"] is None
