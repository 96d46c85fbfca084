r"""Variance and covariance of bml's `fn()` as weights of a column.

.. math:: \sum_k w_k (x_k - \bar x)^2 = \sum_k w_k (x_k - \bar x)\, x_k, \qquad
    \bar x = \sum_k w_k x_k, \quad \sum_k w_k = 1

With equal weights the divisor is n, as of `pymc_mlm.aggregations.Variance`.
"""

from __future__ import annotations

from pymc_mlm.bml.expressions import Node, written

# Aggregations with a counterpart, and how many columns each has.
COLUMNS = {"var": 1, "cov": 2}
EQUAL = "1 / n"
# Of bml's other aggregations: the class of `pymc_mlm.aggregations` with the same definition, the
# arguments of bml that follow its column, their defaults, and the name that bml gives the feature.
COLUMN_OF: dict[str, tuple[str, dict[str, str | None], str]] = {
    "hhi": ("Concentration", {}, "C_w"),
    "effn": ("EffectiveNumber", {}, "effn"),
    "entropy": ("Entropy", {}, "entropy"),
    "var": ("Variance", {"moment": "2"}, "V"),
    "threshold": ("Threshold", {"c": None, "kappa": None}, "T"),
    "smax": ("SmoothMaximum", {"kappa": None}, "smax"),
    "gmean": ("PowerMean", {"p": None}, "gmean"),
}
# These are of the weights alone.
OF_WEIGHTS = ("hhi", "effn", "entropy")


def is_aggregation(node: Node) -> bool:
    """Tell fn("var") of bml 0.10, an aggregation, from fn(w ~ 1/n) of 0.9, a weight."""
    first = node.parts[0] if node.parts else None
    return first is None or first.kind == "text" or (first.kind == "unary" and first.value == "~")


def kind_of(node: Node | None) -> str:
    """Return the name of an aggregation; "sum" for none, empty for a formula."""
    if node is None or not is_aggregation(node) or not node.parts:
        return "sum"
    first = node.parts[0]
    return first.value if first.kind == "text" else ""


def obstacle(
    node: Node, group: str, weight: str, is_given: bool, is_normalized: bool, columns: list[Node]
) -> str | None:
    """Return why an aggregation is not translated.

    Parameters
    ----------
    node : Node
        The ``fn(...)``.
    group : str
        Column of the groups.
    weight : str
        Weight of the members, not yet scaled to sum to one.
    is_given : bool
        Whether the weight has no free parameter.
    is_normalized : bool
    columns : list of Node
        Parts of `vars()`.
    """
    kind, what = kind_of(node), written(node, False)
    settings = dict(zip(node.names[1:], node.parts[1:], strict=True))
    moment = written(settings.get("moment", Node("number", "2")))
    if kind not in COLUMNS or (kind == "var" and moment != "2"):
        line = _column(kind, settings, group, weight, columns) if is_given else None
        start = f"{what} aggregates otherwise than by a weighted sum"
        if line is not None and is_normalized:
            return f"{start}, and is a column here: {line}, which the formula takes for the block"
        return (
            f"{start}; mlm.aggregate computes such a column before the model, if nothing in it is "
            "estimated, and docs/weights.md writes it as a weight, if something is"
        )
    settings.pop("moment", None)
    if settings:
        return f"{what}: fn({kind!r}) has no argument {next(iter(settings))!r} that is known here"
    if not is_normalized:
        return f"{what} is of weights that sum to one; write scale = TRUE"
    if len(columns) != COLUMNS[kind] or any(c.kind != "name" for c in columns):
        wanted = "one plain column" if kind == "var" else "two plain columns"
        return (
            f"{what}: vars() holds {wanted}; write a block for each feature, and compute other "
            "columns before"
        )
    return None


def _column(
    kind: str, settings: dict[str, Node], group: str, weight: str, columns: list[Node]
) -> str | None:
    """Return the line that computes a feature; None where something in it is estimated."""
    if kind not in COLUMN_OF or len(columns) != (0 if kind in OF_WEIGHTS else 1):
        return None
    name, defaults, feature = COLUMN_OF[kind]
    if {*settings} - {*defaults} or any(c.kind != "name" for c in columns):
        return None
    stated = {n: Node("number", v) for n, v in defaults.items() if v is not None} | settings
    if {*stated} < {*defaults}:
        return None
    given = [stated[n] for n in defaults]
    if any(inner.kind in ("name", "call") for v in given for inner in v.walk()):
        return None
    own = [written(c).strip("`") for c in columns]
    arguments = ", ".join([*map(repr, own), *map(written, given)])
    return (
        f"table = mlm.aggregate(table, {group!r}, {{{'_'.join([feature, *own])!r}: "
        f"mlm.aggregations.{name}({arguments})}}, weight={weight!r})"
    )


def deviation_weight(weight: str, column: str) -> str:
    """Return the weight of a column whose sum is its covariance with another.

    Parameters
    ----------
    weight : str
        Weight of the members, not yet scaled to sum to one.
    column : str
        The column that the deviations are of.

    Examples
    --------
    >>> deviation_weight("1 / n", "x")
    '1 / n * (x - mean(x))'
    >>> deviation_weight("seats", "x")
    '(seats) / sum(seats) * (x - sum((seats) / sum(seats) * x))'
    """
    if weight == EQUAL:
        return f"{EQUAL} * ({column} - mean({column}))"
    share = f"({weight}) / sum({weight})"
    return f"{share} * ({column} - sum({share} * {column}))"


def feature_name(columns: list[str]) -> str:
    """Return bml's name of a variance or covariance.

    Examples
    --------
    >>> feature_name(["x"]), feature_name(["x", "z"])
    ('V_x', 'C_xz')
    """
    return f"{'V' if len(columns) == 1 else 'C'}_{''.join(c.strip('`') for c in columns)}"
