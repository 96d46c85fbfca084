"""From a table to pictures: which parties make coalition governments last.

Run it as ``python examples/coalitions.py``; it writes two pictures to the current folder.
"""

import pandas as pd

import pymc_mlm as mlm

# A row per party in a government. What belongs to the government repeats in its rows.
table = mlm.datasets.coalitions()
print(table.head(3).round(2).to_string(), "\n")

model = mlm.MultipleMembershipModel(
    # Group level: how long a government lasted, whether its end was seen, one covariate.
    "Surv(weeks, ended) ~ 1 + majority",
    # Member level: effects of parties and a covariate, summed with estimated weights.
    mlm.mm("party", "government", covariates="cohesion", weight=mlm.weights.softmax("seats")),
    # An ordinary varying intercept.
    mlm.hm("country"),
    family="weibull",
)

# The priors are scaled to the table; each can be replaced by its name.
print(model.priors(table), "\n")

model.fit(table, random_seed=1)
print(model.summary(), "\n")
print(model.variance_decomposition(), "\n")

# Weights and effects as tables, with the ids of the data.
print(model.weights().head(3).round(2).to_string(), "\n")
print(model.effects().head(3).round(2).to_string(), "\n")

# What if? The same new government with and without a majority; one party is new to the data.
plan = pd.DataFrame({"government": "planned", "party": ["AA-01", "newcomer"], "country": "AA"})
plan = plan.assign(cohesion=0.0, seats=[0.7, 0.3])
for majority in (0, 1):
    weeks = model.predict(plan.assign(majority=majority), random_seed=1)
    print(f"majority={majority}: mean duration {float(weeks.median()):.0f} weeks (median of draws)")

model.plot("weights").savefig("coalition_weights.png")
model.plot("effects").savefig("coalition_parties.png")
