#!/usr/bin/env python
"""Do the 95 % intervals hold the truth 95 % of the time? Scores are simulated from two normals, so that every figure's true value is known.

Each interval that an evaluation prints is asked whether the truth lies in it. Beside it stands what the plain methods give on the same sets: percentiles of the bootstrap for AUC, balanced accuracy and Brier score,
and Wilson's interval with a group counted as one photo, or every photo as one, for the share of reals called fake. Some rows go through `metric_table` as a whole, for every metric.
Groups share half of the variance of a score and are of one class, as frames of a video: `alone` (none), `fives` (five photos each), `unequal` (1 to 30 each), `twelve` (twelve groups in all).
Two detectors with correlated scores are compared the same way: does the interval of the difference hold the true one, and how often is one of two equals called better.

    python benchmarks/coverage.py            # 1,000 test sets a row; ten to fifteen minutes of one core
    python benchmarks/coverage.py --n 20     # a trial"""
import argparse, os
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np, pandas as pd
from scipy.special import expit
from scipy.stats import norm

from common import result, say
from face_fake_or_not.intervals import auc_interval, balanced_rate, bootstrap_t, group_codes, interval, rate, resample_counts, weighted_auc, wilson
from face_fake_or_not.metrics import area_under_risk, compare, metric_table, risk_coverage
from face_fake_or_not.verdict import Rule

SHARED, AT, SURE = .5, .3, 1.5                       # variance that a group shares; threshold, in units of the latent score; how far the scores overstate themselves
ROWS = [(n, groups, d) for n, kinds, ds in ((200, ('alone', 'fives', 'unequal', 'twelve'), (1., 2.5, 4.)), (1000, ('alone', 'unequal', 'twelve'), (2.5, 4.))) for groups in kinds for d in ds]
TWINS = [(200, 'alone', 2.5, 2.5), (200, 'unequal', 2.5, 2.5), (200, 'twelve', 2.5, 2.5), (200, 'alone', 4., 4.), (1000, 'alone', 2.5, 2.7)]
EVERY = [(200, 'alone', 2.5), (200, 'alone', 4.), (200, 'unequal', 2.5), (1000, 'alone', 2.5)]        # rows for which every metric is looked at

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=1000, help='simulated test sets a row')
    p.add_argument('--resamples', type=int, default=200)
    p.add_argument('--parts', nargs='+', default=['main', 'differences', 'every'], help='main: AUC, balanced accuracy, FPR, Brier in every row; differences: two detectors; every: all metrics in a few rows')
    p.add_argument('--images', type=int, nargs='+', default=[200, 1000], help='only rows of this many images')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--groups', nargs='+', default=['alone', 'fives', 'unequal', 'twelve'], help='only rows of these groups')
    return p.parse_args()

def group_of(kind, n, rng):
    "The group of each image"
    if kind == 'alone': return np.arange(n)
    if kind in ('fives', 'twelve'): return np.arange(n) // 5 if kind == 'fives' else np.arange(n) * 12 // n
    return np.repeat(np.arange(n), np.minimum(30, rng.geometric(.15, n)))[:n]

def latent(kind, n, d, rng):
    "Groups, classes (one a group, half of each) and latent scores, d standard deviations apart"
    g = group_of(kind, n, rng)
    fake = (rng.permutation(g.max() + 1) % 2 == 0)[g] if kind != 'alone' else np.arange(n) % 2 == 0
    return g, fake, np.sqrt(SHARED) * rng.normal(size=n)[g] + np.sqrt(1 - SHARED) * rng.normal(size=n) + d * (fake - .5)

def score_of(x, d, sure=SURE):
    "P(fake) of a latent score; with `sure` = 1 it is the true probability"
    return expit(sure * d * x)

def truths(d):
    "The true figures: by formula, or as integrals over the latent score"
    x = np.linspace(-12, 12, 200_001)
    f, r = norm.pdf(x - d/2), norm.pdf(x + d/2)
    both, p, s = (f + r) / (f + r).sum(), f / (f + r), score_of(x, d)
    recall, fpr, up = norm.sf(AT - d/2), norm.sf(AT + d/2), norm.sf(x - d/2)
    out = dict(auc=true_auc(d), eer=norm.cdf(-d/2), recall=recall, fpr=fpr, accuracy=(recall + 1 - fpr) / 2, balanced=(recall + 1 - fpr) / 2, precision=recall / (recall + fpr), f1=2*recall / (1 + recall + fpr))
    out |= {f'tpr_at_{k}_fpr': norm.sf(norm.isf(k/100) - d) for k in (1, 5)}
    out |= dict(average_precision=float(-np.trapezoid(up / np.maximum(up + norm.sf(x + d/2), 1e-300), up)), brier=float(both @ (p * (1-s)**2 + (1-p) * s**2)), ece=float(both @ np.abs(p - s)),
                log_loss=float(-both @ (p * np.log(np.maximum(s, 1e-16)) + (1-p) * np.log(np.maximum(1-s, 1e-16)))))
    return out | decided_truths(d)

def decided_truths(d):
    "The share decided by thresholds at plus and minus 1, and how many of those are right"
    says = norm.sf(1 - d/2), norm.sf(1 + d/2)                # fakes, or reals, above 1; by symmetry reals, or fakes, below -1
    return dict(coverage=sum(says), decided_accuracy=says[0] / sum(says))

def true_auc(d): return float(norm.cdf(d / 2**.5).round(5))

def big_aurc(d):
    "The area under the risk-coverage curve of a million images"
    _, fake, x = latent('alone', 1_000_000, d, np.random.default_rng(1))
    return float(area_under_risk(*risk_coverage(fake, score_of(x, d), score_of(AT, d)))[0])

def spans(fake, score, groups, at, resamples, seed):
    "Our intervals and the plain ones, on the same resamples"
    w = resample_counts(groups, resamples, seed).astype(float)
    share = lambda m: w[:, m] @ (score > at)[m] / np.maximum(w[:, m].sum(1), 1e-9)
    called, real, auc, brier = score > at, ~fake, weighted_auc(fake, score, w), w @ (score - fake)**2 / w.sum(1)
    n_reals = group_codes(groups[real]).max() + 1
    out = dict(auc=auc_interval(fake, score, groups, boots=auc)[1:], balanced=balanced_rate(called == fake, fake, groups)[1:], fpr=rate(called[real], groups[real])[1:], brier=bootstrap_t((score - fake)**2, groups, resamples, seed)[1:])
    return out | dict(auc_percentile=interval(auc), balanced_percentile=interval((share(fake) + 1 - share(real)) / 2), brier_percentile=interval(brier),
                      fpr_group_as_one=wilson(called[real].mean(), n_reals), fpr_photo_as_one=wilson(called[real].mean(), real.sum()))

def simulated(n, kind, d, count, seed):
    "Test sets: latent scores, groups and classes"
    rng = np.random.default_rng(seed)
    for _ in range(count):
        g, fake, x = latent(kind, n, d, rng)
        yield pd.DataFrame(dict(label=np.where(fake, 'fake', 'real'), x=x, score=score_of(x, d), group=[f'g{o}' for o in g]))

def share_held(rows):
    "Share of the intervals that hold the truth: name -> list of hits, NaN where there was no interval"
    rows = pd.DataFrame(rows).astype(float)
    return {k: round(float(v), 3) for k, v in rows.mean().items() if np.isfinite(v)}

def cover(n, kind, d, args):
    "Share of the intervals that hold the truth, of the main figures"
    true, at, rows = truths(d), float(score_of(AT, d)), []
    for i, df in enumerate(simulated(n, kind, d, args.n, args.seed)):
        found = spans((df.label == 'fake').to_numpy(), df.score.to_numpy(), df.group.to_numpy(object), at, args.resamples, i)
        rows.append({k: lo <= true[k.split('_')[0]] <= hi for k, (lo, hi) in found.items()})
    return share_held(rows)

def cover_every(n, kind, d, args):
    "The same of every metric, and of the ECE of a calibrated detector, whose truth is 0"
    true, at, rows = truths(d) | dict(aurc=big_aurc(d)), float(score_of(AT, d)), []
    rule = Rule(float(score_of(-1, d)), float(score_of(1, d)))
    for i, df in enumerate(simulated(n, kind, d, args.n, args.seed)):
        found = metric_table(df, rule, at, args.resamples, i).set_index('metric')
        rows.append({k: np.nan if np.isnan(found.lo[k]) else found.lo[k] <= true[k] <= found.hi[k] for k in found.index if k in true})
        if i % 4 == 0: rows[-1]['ece_of_calibrated'] = metric_table(df.assign(score=score_of(df.x, d, 1)), None, at, args.resamples, i).set_index('metric').lo['ece'] <= 0
    return share_held(rows)

def twins(n, kind, da, db, args):
    "Coverage of the difference of two AUCs, and how often the answer is right, wrong or a tie"
    true, rng, held, said = true_auc(da) - true_auc(db), np.random.default_rng(args.seed), [], []
    for i in range(args.n):
        g, fake, common = latent(kind, n, 0., rng)
        own = [np.sqrt(.6) * common + np.sqrt(.4) * rng.normal(size=n) + d * (fake - .5) for d in (da, db)]
        df = pd.DataFrame(dict(path=np.arange(n).astype(str), label=np.where(fake, 'fake', 'real'), group=[f'g{o}' for o in g]))
        c = compare(df.assign(score=expit(own[0])), df.assign(score=expit(own[1])), n_boot=args.resamples, seed=i).iloc[0]
        held.append(c.lo <= true <= c.hi); said.append(c.better)
    return dict(held=round(float(np.mean(held)), 3)) | {k: round(said.count(k) / len(said), 3) for k in ('a', 'b', 'tie')}

def main():
    "Every row, printed as it comes; the last line is JSON"
    args = parse_args()
    jobs = dict(main=[(cover, *r) for r in ROWS], differences=[(twins, *r) for r in TWINS], every=[(cover_every, *r) for r in EVERY])
    found = {}
    for part in args.parts:
        found[part] = []
        for how, n, kind, *d in jobs[part]:
            if n not in args.images or kind not in args.groups: continue
            found[part].append(dict(n=n, groups=kind, **{f'auc_{i}': true_auc(o) for i, o in zip('ab', d)}, **how(n, kind, *d, args))); say(found[part][-1])
        print(pd.DataFrame(found[part]).set_index(['n', 'groups']).T.to_string() if part == 'every' else pd.DataFrame(found[part]).to_string(index=False), flush=True)
    result('coverage', sets=args.n, resamples=args.resamples, **found)

if __name__ == '__main__': main()
