# Seconds of processor time of one mixed model in R, and its standard deviations.
# Usage: Rscript mixed_model.R lme4|glmmTMB TABLE.csv FORMULA FAMILY; run by laplace.py --peers.
given <- commandArgs(trailingOnly = TRUE)
if (!requireNamespace(given[1], quietly = TRUE)) {
  cat("not installed\n")
  quit(status = 0)
}
suppressPackageStartupMessages(library(given[1], character.only = TRUE))
table <- read.csv(given[2])
formula <- as.formula(given[3])
start <- proc.time()
if (given[1] == "glmmTMB") {
  fit <- glmmTMB(formula, data = table, family = given[4])
  varying <- VarCorr(fit)$cond
} else {
  fit <- if (given[4] == "gaussian") lmer(formula, table) else glmer(formula, table, given[4])
  varying <- VarCorr(fit)
}
seconds <- sum((proc.time() - start)[1:2])
sds <- unlist(lapply(varying, function(v) attr(v, "stddev")))
cat(sprintf("%.1f s of processor, sds %s\n", seconds,
            paste(names(sds), formatC(sds, digits = 3, format = "fg"), collapse = ", ")))
