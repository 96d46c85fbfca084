"""From a table to pictures: which parties make coalition governments last.

Run it as ``python examples/coalitions.py``; it takes half a minute and writes two pictures to the
current folder. The table is simulated, and its truth is printed last.
"""

import pandas as pd

import pymc_mlm as mlm


def model(weight):
    """Return the model of durations; `weight` is how much each party of a government counts."""
    return mlm.MultipleMembershipModel(
        # Group level: how long a government lasted, whether its end was seen, one covariate.
        "Surv(weeks, ended) ~ 1 + majority",
        # Member level: effects of parties and a covariate, summed with the weights.
        mlm.mm("party", "government", covariates="cohesion", weight=weight),
        # An ordinary varying intercept.
        mlm.hm("country"),
        family="weibull",
    )


def main():
    """Fit two models, and print what a reader needs."""
    # A row per party in a government. What belongs to the government repeats in its rows.
    table = mlm.datasets.coalitions()
    print("== table")
    print(table.head(4).round(2).to_string(index=False))

    by_seats = model(mlm.weights.softmax("seats"))
    # The priors are scaled to the table; each can be replaced by its name.
    print("== priors")
    print(by_seats.priors(table))

    by_seats.fit(table, random_seed=1, progressbar=False)
    alike = model("1 / n").fit(table, draws=2000, random_seed=1, progressbar=False)
    print("== summary")
    print(by_seats.summary())
    print("== alike")
    print(alike.summary())
    print("== report")
    print(by_seats.weights_report(equal=alike))
    print("== shares")
    print(by_seats.variance_decomposition())

    # Weights and effects as tables, with the ids of the data.
    print("== weights")
    print(by_seats.weights().head(3).round(2).to_string(index=False))
    print("== parties")
    effects = by_seats.effects()
    print(pd.concat([effects.head(3), effects.tail(3)]).round(2).to_string())

    # What if the party with the shortest governments gave its place to the one with the longest?
    ordered = effects.sort_values("mean").index
    print("== replaced")
    print(by_seats.counterfactual(replace={ordered[0]: ordered[-1]}))

    # A government that does not exist yet; one of its parties is new to the data.
    plan = pd.DataFrame({"government": "planned", "party": ["AA-01", "newcomer"], "country": "AA"})
    plan = plan.assign(cohesion=0.0, seats=[0.7, 0.3])
    print("== planned")
    for majority in (0, 1):
        weeks = by_seats.predict(plan.assign(majority=majority), kind="outcome", random_seed=1)
        low, middle, high = weeks.quantile([0.1, 0.5, 0.9]).values
        print(f"majority={majority}: half of the draws up to {middle:.0f} weeks, "
              f"80% between {low:.0f} and {high:.0f}")  # fmt: skip
    print("== truth")
    print(", ".join(f"{name} {value:g}" for name, value in table.attrs["truth"].items()))

    by_seats.plot("weights").savefig("coalition_weights.png", dpi=120)
    by_seats.plot("effects").savefig("coalition_parties.png", dpi=120)


if __name__ == "__main__":
    main()
