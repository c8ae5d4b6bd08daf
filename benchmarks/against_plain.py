#!/usr/bin/env python
"""A detector against the plain fastai recipe on the same test split: per domain, per fair pair, and false positives where both catch the same share of fakes.

First `python benchmarks/plain_fastai.py`, and `face-fake-or-not train` for a run of ours; then this with both."""
import argparse
from pathlib import Path

import numpy as np, pandas as pd

from common import need, result, say, shared_dir
from face_fake_or_not.detector import load_detector
from face_fake_or_not.evaluate import mean_pair_auc, results_table
from face_fake_or_not.intervals import interval, rate, resample_counts, weighted_auc
from face_fake_or_not.items import face_items, pair_items

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--data', type=Path, default=shared_dir()/'data')
    p.add_argument('--plain', type=Path, default=Path('runs/plain_fastai/scores.csv'), help='scores.csv of plain_fastai.py')
    p.add_argument('--detector', help='bundle of ours; the embedded detector by default')
    p.add_argument('--caught', type=float, default=.8, help='share of the fair pairs\' fakes that both catch')
    return p.parse_args()

def both_scores(args):
    "The test items with both scores, row by row the same image"
    items = face_items(need(args.data, 'The data'), check=False)
    test = items[items.split == 'test'].reset_index(drop=True)
    plain = pd.read_csv(need(args.plain, 'The scores of plain_fastai.py'), dtype=dict(group=str), keep_default_na=False)
    plain = plain[plain.split == 'test'].assign(path=[str(args.data/p) for p in plain[plain.split == 'test'].path]).set_index('path')
    say(f'scoring {len(test)} test images')
    return test.assign(ours=load_detector(args.detector).scores(test), plain=plain.score.astype(float).reindex(test.path).to_numpy())

def gain(df, pairs, n=1000):
    "Difference of the mean pair AUCs on the same resamples, with interval"
    boots = []
    for i, d in enumerate(pair_items(df, p) for p in pairs.itertuples()):
        counts, fake = resample_counts(d.group, n, i), (d.label == 'fake').to_numpy()
        boots.append(weighted_auc(fake, d.ours, counts) - weighted_auc(fake, d.plain, counts))
    return interval(np.mean(boots, axis=0))

def false_positives(df, score, pairs, caught):
    "Share of all reals above the threshold at which `caught` of the pairs' fakes are caught; and by source"
    fakes = df[score][df.domain.isin(pairs.fake)]
    reals = df[df.label == 'real']
    called = reals[score] >= np.quantile(fakes, 1 - caught)
    return rate(called, list(reals.group)), called.groupby(reals.domain).mean()

def table(df, pairs):
    "Both detectors' figures side by side"
    one = {k: results_table(df.assign(score=df[k]), pairs).set_index(['kind', 'name']) for k in ('plain', 'ours')}
    span = lambda r: '' if pd.isna(r.auc) else f'{r.auc:.3f} ({r.auc_lo:.3f}-{r.auc_hi:.3f})'
    called = lambda r: f'{r.called_fake:.3f} ({r.called_lo:.3f}-{r.called_hi:.3f})'
    out = pd.DataFrame({f'{k} {what}': t.apply(f, axis=1) for what, f in (('AUC', span), ('called fake at 0.5', called)) for k, t in one.items()})
    return one['ours'][['n_fake', 'n_real']].join(out)

def main():
    "Run the comparison; the last line is JSON"
    args = parse_args()
    pairs, df = pd.read_csv(args.data/'pairs.csv'), both_scores(args)
    print(table(df, pairs).to_string())
    mean = {k: mean_pair_auc(df.assign(score=df[k]), pairs) for k in ('plain', 'ours')}
    fpr = {k: false_positives(df, k, pairs, args.caught) for k in ('plain', 'ours')}
    print(pd.DataFrame({k: v[1] for k, v in fpr.items()}).round(3).to_string())
    result('against_plain', n=len(df), mean_pair_auc={k: [round(x, 4) for x in v] for k, v in mean.items()}, gain=round(mean['ours'][0] - mean['plain'][0], 4),
           gain_interval=[round(float(x), 4) for x in gain(df, pairs)], false_positives={k: [round(float(x), 4) for x in v[0]] for k, v in fpr.items()},
           ratio=round(float(fpr['ours'][0][0] / fpr['plain'][0][0]), 3), caught=args.caught)

if __name__ == '__main__': main()
