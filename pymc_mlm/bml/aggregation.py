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


def obstacle(node: Node, is_normalized: bool, columns: list[Node]) -> str | None:
    """Return why an aggregation is not translated."""
    kind, what = kind_of(node), written(node, False)
    if kind not in COLUMNS:
        return (
            f"{what} aggregates otherwise than by a weighted sum; mlm.aggregate computes such a "
            "column before the model, if nothing in it is estimated, and docs/weights.md writes it "
            "as a weight, if something is"
        )
    settings = dict(zip(node.names[1:], node.parts[1:], strict=True))
    if kind == "var" and written(settings.pop("moment", Node("number", "2"))) != "2":
        return (
            f"{what}: moments beyond the second are not translated; with given weights "
            "mlm.aggregations.Variance(column, moment) is the same"
        )
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
