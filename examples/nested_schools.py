"""Pupils in classes in schools in regions: simulate, fit, compare with the truth, predict.

Run ``python examples/nested_schools.py``; it takes about a minute when nothing is compiled yet.
"""

import pandas as pd

import pymc_mlm as mlm


def main():
    pupils = mlm.datasets.nested_schools()
    model = mlm.NestedVaryingEffects(
        "score ~ 1 + prior + homework + income", levels=["region", "school", "class_id"]
    )
    model.fit(pupils, random_seed=1)

    table = model.summary().frame
    table.insert(0, "truth", pd.Series(pupils.attrs["truth"]))
    print(table.round(2).to_string())
    print(model.variance_decomposition())
    print(model.coefficients("school").head(6).round(2))

    # A fitted class, a new class of a fitted school, and one of a school nobody has seen.
    region, school, class_id = pupils[["region", "school", "class_id"]].iloc[0]
    new = pd.DataFrame(
        {
            "region": [region, region, region],
            "school": [school, school, 1001],
            "class_id": [class_id, 2001, 2002],
            "prior": 0.0,
            "homework": 0.0,
            "income": 0.0,
        }
    )
    expected = model.predict(new, random_seed=1)
    sample = ("chain", "draw")
    new["expected score"] = expected.mean(sample).values
    new["sd"] = expected.std(sample).values
    print(new.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
