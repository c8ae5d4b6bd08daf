#!/usr/bin/env python
"""Does the command line give what the embedded detector's card says? And does the card keep what a user needs: fair pairs, false alarms by source, coverage?

`python benchmarks/card.py` lays the photos of the test split into one folder, runs `face-fake-or-not predict FOLDER --csv` on it in a process of its own, and works out every figure of evaluation.json from that table alone:
they must be equal, number for number (`--split valid` compares nothing: the card is of the test split). Then the figures that the embedded detector is held to, with 95 % intervals by group: shares are those of the verdicts in the table, gate included. `--detector BUNDLE` asks another bundle."""
import argparse, json, shutil, subprocess, sys, tempfile
from pathlib import Path

import pandas as pd

from common import need, result, say, shared_dir
from face_fake_or_not.core import json_text, read_json
from face_fake_or_not.evaluate import evaluate
from face_fake_or_not.intervals import auc_interval, balanced_rate, rate
from face_fake_or_not.items import face_items, pair_items, read_pairs
from face_fake_or_not.runtime import EMBEDDED
from face_fake_or_not.verdict import Rule

ENOUGH = 80                                                     # photos a source needs to be looked at by itself
UNLIKE = ('name', 'robustness')                                 # words, and what is measured on other files

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv and pairs.csv')
    p.add_argument('--detector', type=Path, default=EMBEDDED, help='a bundle with evaluation.json; the embedded detector by default')
    p.add_argument('--split', default='test', choices=['valid', 'test'])
    p.add_argument('--keep', type=Path, help='where the table of predict is written; a temporary folder by default')
    return p.parse_args()

def predicted(items, args, folder):
    "The items with score and verdict of the command line"
    photos, table = folder/'photos', (args.keep or folder)/'predicted.csv'
    photos.mkdir()
    names = [f'{i:05d}{Path(p).suffix}' for i, p in enumerate(items.path)]
    for name, path in zip(names, items.path): shutil.copyfile(path, photos/name)
    cmd = [sys.executable, '-c', 'from face_fake_or_not.cli import main; main()', 'predict', photos, '--csv', table, '--detector', args.detector]
    if subprocess.run([str(c) for c in cmd]).returncode: sys.exit('predict failed')
    t = pd.read_csv(table)
    t.index = [Path(p).name for p in t.path]
    return items.assign(score=t.score.reindex(names).to_numpy(), verdict=t.verdict.reindex(names).to_numpy())

def unequal(a, b, at=''):
    "Where two trees of figures differ"
    if isinstance(a, dict) and isinstance(b, dict): return [x for k in {**a, **b} if at or k not in UNLIKE for x in unequal(a.get(k), b.get(k), f'{at}/{k}')]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b): return [x for i, (u, v) in enumerate(zip(a, b)) for x in unequal(u, v, f'{at}/{i}')]
    return [] if a == b or a != a and b != b else [f'{at}: {a} against {b}']

def percent(triple): return dict(zip(('share', 'lo', 'hi'), (round(float(v), 4) for v in triple)))
def share(hits, d): return dict(n=len(d), **percent(rate(hits.to_numpy(), list(d.group))))

def pair_rows(df, pairs):
    "AUC of the fair pairs"
    for p in pairs.itertuples():
        d = pair_items(df, p)
        yield dict(pair=f'{p.fake} / {p.real}', n=len(d), **dict(zip(('auc', 'lo', 'hi'), (round(float(v), 4) for v in auc_interval((d.label == 'fake').to_numpy(), d.score, list(d.group))))))

def verdict_rows(df):
    "Reals called fake by source, small ones together; fakes called fake by generator; coverage; balanced accuracy of the decided"
    n = df.groupby(['label', 'domain']).path.transform('size')
    named = df.assign(source=df.domain.where(n >= ENOUGH, 'smaller ones'))
    for label in ('real', 'fake'):
        d = named[named.label == label]
        for source, part in [('all', d), *d.groupby('source')]: yield dict(what=f'{label} called fake', source=source, **share(part.verdict == 'fake', part))
    yield dict(what='decided', source='all', **share(df.verdict != 'inconclusive', df))
    d = df[df.verdict != 'inconclusive']
    yield dict(what='balanced accuracy of the decided', source='all', n=len(d), **percent(balanced_rate(d.verdict == d.label, (d.label == 'fake').to_numpy(), list(d.group))))

def main():
    "Predict, compare, show; the last line is JSON"
    args = parse_args()
    items, pairs = face_items(csv=need(args.data/'items.csv', 'The manifest'), check=False), pd.read_csv(need(args.data/'pairs.csv', 'The table of fair pairs'))
    if not (args.detector/'evaluation.json').is_file(): sys.exit(f'{args.detector}: no bundle with an evaluation.json')
    said, rule = read_json(args.detector/'evaluation.json'), Rule.from_dict(read_json(args.detector/'detector.json')['rule'])
    items = items[items.split == args.split].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as tmp: df = predicted(items, args, Path(tmp))
    found = json.loads(json_text(evaluate(None, df.drop(columns='verdict'), pairs, rule=rule).to_dict()))      # as the card is kept
    wrong = unequal(found, said) if args.split == 'test' else None
    if wrong is not None: say(f'{len(df)} photos; the card holds, number for number' if not wrong else f'{len(wrong)} figures differ: {"; ".join(wrong[:5])}')
    shown, held = list(pair_rows(df, read_pairs(pairs, df))), list(verdict_rows(df))
    for rows in (shown, held): print(pd.DataFrame(rows).to_string(index=False)); print()
    result('card', detector=args.detector.name, split=args.split, n=len(df), figures_that_differ=None if wrong is None else len(wrong), pairs=shown, verdicts=held)
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
