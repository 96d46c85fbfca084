"""Does a new teaching method help in mathematics and reading? A trial randomised by school.

Run: python examples/teaching_trial.py
"""

import pymc_mlm as mlm


def main():
    pupils = mlm.datasets.teaching_trial()
    trial = mlm.MultivariateLogitTrial(
        ["math", "reading"],
        arm="method",
        control="traditional",
        covariates=["ability"],
        cluster="school",
    )
    trial.fit(pupils, random_seed=1, progressbar=False)
    print(trial.summary())

    print("\nPupils with an ability between 40 and 60, mathematics weighs more:")
    print(
        trial.probability(
            mlm.rules.Compensatory((0.7, 0.3)), population=mlm.populations.Range("ability", 40, 60)
        )
    )

    print("\nWhat the observed schools alone would say (too sure of itself):")
    effect = trial.treatment_effect(estimand="observed_clusters", covariate_rows="arm")
    for name in ("math", "reading"):
        own = effect.sel(outcome=name)
        print(f"  {name}: {float(own.mean()):.3f}, posterior sd {float(own.std()):.3f}")


if __name__ == "__main__":
    main()
