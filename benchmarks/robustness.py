#!/usr/bin/env python
"""What delivery does to a detector's verdicts: tiers on every photo of a split, curves and hard-real slices on a sample spread over the domains.

`python benchmarks/robustness.py` asks the embedded detector about the test split; `--split valid` about the validation split, `--save FOLDER` keeps the tables
(`robustness_scores.csv` has a row a photo and condition, for calibration). Also the cost: degrading and scoring a photo against scoring it alone, on the same photos in the same run."""
import argparse, time
from pathlib import Path

from common import need, peak_mib, result, say, shared_dir
from face_fake_or_not.detector import load_detector
from face_fake_or_not.intervals import auc_interval
from face_fake_or_not.items import face_items, pair_items, read_pairs
from face_fake_or_not.robustness import robustness, sample_items
from face_fake_or_not.tiers import conditions, degrade

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--data', type=Path, default=shared_dir()/'data')
    p.add_argument('--detector', help='a bundle; the embedded detector by default')
    p.add_argument('--split', default='test', choices=['valid', 'test'])
    p.add_argument('--n', type=int, help='photos for the tiers; all by default')
    p.add_argument('--sample', type=int, default=600, help='photos for curves and slices')
    p.add_argument('--only-tiers', action='store_true')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--save', type=Path, help='folder for the tables')
    return p.parse_args()

def cost(detector, paths):
    "Seconds a photo for scoring alone and for degrading alone, by tier and slice; one after the other on the same photos"
    files = [Path(p).read_bytes() for p in paths]
    def took(f):
        start = time.perf_counter(); f()
        return (time.perf_counter() - start) / len(files)
    detector.scores(files[:8])
    alone = took(lambda: detector.scores(files))
    made = {f'{name} {level}': took(lambda: [degrade(b, name, level) for b in files]) for name, level in conditions(['tiers', 'curves', 'slices'])}
    ratios = {k: round(v / alone, 3) for k, v in made.items()}
    return dict(n=len(files), score_ms=round(alone * 1000, 2), degrade_over_score=ratios, mean_degrade_over_score=round(sum(made.values()) / len(made) / alone, 3))

def end_to_end(detector, items):
    "Time of `robustness` a file over that of `scores` a photo, and the rise of memory from a third of the items to all"
    held, third = [], items[::3].reset_index(drop=True)
    start = time.perf_counter(); detector.scores(items); alone = (time.perf_counter() - start) / len(items)
    robustness(detector, third, 'tiers', n_boot=1); held.append(peak_mib())
    start = time.perf_counter(); rob = robustness(detector, items, 'tiers', n_boot=1); took = (time.perf_counter() - start) / len(rob.scores); held.append(peak_mib())
    return dict(n=len(items), files=len(rob.scores), over_scoring=round(took / alone, 3), peak_mib_third=round(held[0]), peak_mib_all=round(held[1]))

def shown(rob):
    "The table for reading: figures with their interval"
    t = rob.table
    span = lambda k: [f'{v:.3f} ({lo:.3f}-{hi:.3f})' for v, lo, hi in zip(t[k], t[f'{k}_lo'], t[f'{k}_hi'])]
    return t[['condition', 'level', 'n', 'n_bad']].assign(**{k: span(k) for k in ('auc', 'auc_change', 'balanced', 'fpr', 'tpr', 'accused', 'undecided', 'flip', 'real_to_fake', 'fake_to_real')})

def plain(table): return [{k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()} for r in table.to_dict('records')]

def main():
    "Run it; the last line is JSON"
    args = parse_args()
    detector = load_detector(args.detector, threads=1)
    items = face_items(need(args.data, 'The data'), check=False)
    items = items[items.split == args.split].reset_index(drop=True)
    say(f'cost on {min(96, len(items))} photos')
    times = dict(end_to_end=end_to_end(detector, sample_items(items, 150, args.seed)))      # first, because the most memory ever held is measured
    times['cost'] = cost(detector, sample_items(items, 96, args.seed).path)
    say(f'tiers of {min(args.n or len(items), len(items))} {args.split} photos')
    runs = dict(tiers=robustness(detector, items, 'tiers', n=args.n, seed=args.seed))
    if not args.only_tiers:
        say(f'curves and slices of {args.sample}')
        runs['curves'] = robustness(detector, items, ['curves', 'slices'], n=args.sample, seed=args.seed)
    for name, rob in runs.items():
        print(shown(rob).to_string(index=False))
        if args.save: rob.save(args.save/name)
    print(by_source(runs))
    pairs = by_pair(runs['tiers'].scores, read_pairs(args.data/'pairs.csv', items)) if (args.data/'pairs.csv').is_file() else {}
    result('robustness', split=args.split, pairs=pairs, **times, threshold=round(detector.rule.balanced, 4), worst=plain(runs['tiers'].worst.to_frame().T)[0]['condition'],
           **{k: dict(n=int(r.scores.path.nunique()), unread=len(r.unread), table=plain(r.table)) for k, r in runs.items()})

def by_pair(scores, pairs):
    "AUC of each fair pair in each condition: sizes differ between the classes elsewhere, so a change of size alone could tell them apart or mix them up"
    said = {}
    for (name, level), d in scores.dropna(subset='score').groupby(['condition', 'level'], sort=False):
        for p in pairs.itertuples():
            own = pair_items(d, p)
            if own.label.nunique() == 2: said.setdefault(f'{p.fake} / {p.real}', {})[name] = [round(float(v), 4) for v in auc_interval(own.label == 'fake', own.score, list(own.group))] + [len(own)]
    return said

def by_source(runs):
    "Share of each real source that is called fake, by tier"
    s = runs['tiers'].scores
    reals = s[s.label == 'real'].assign(called=s.score > runs['tiers'].threshold)
    t = reals.pivot_table(index='domain', columns='condition', values='called', sort=False)
    return t.assign(n=reals[reals.condition == 'clean'].domain.value_counts()).round(3).to_string()

if __name__ == '__main__': main()
