#!/usr/bin/env python
"""Balanced sampling: how often each domain and label is drawn in an epoch against what was asked, by one process and by two, beside fastai's `WeightedDL`.

No image is read: the draws of the DataLoaders are counted. Two processes talk through gloo and share the draws as in training (`GroupDL`)."""
import argparse, json, os, subprocess, sys, warnings

import numpy as np
import pandas as pd

from common import need, result, say, shared_dir

def loaders(kind):
    "The training DataLoader over the real manifest, its items and their weights"
    warnings.filterwarnings('ignore')
    from fastai.callback.data import WeightedDL
    from face_fake_or_not.data import face_dataloaders
    from face_fake_or_not.items import face_items
    data = need(shared_dir()/'data'/'items.csv', 'The manifest of real faces')
    items, pairs = face_items(csv=data, check=False), pd.read_csv(data.with_name('pairs.csv'))
    dl = face_dataloaders(items, size=32, bs=32, pairs=pairs, num_workers=0).train
    train = items[items.split == 'train'].reset_index(drop=True)
    if kind == 'die': dl = WeightedDL(dl.dataset, bs=32, wgts=dl.wgts.copy(), shuffle=True, num_workers=0)
    return dl, train, dl.wgts

def deviation(idxs, train, wgts, by):
    "Largest difference between drawn and asked share, in points, over the values of `by`"
    asked = pd.Series(wgts).groupby(train[by].to_numpy()).sum()
    got = train[by].iloc[idxs].value_counts(normalize=True).reindex(asked.index, fill_value=0)
    return round(float((got - asked).abs().max() * 100), 3)

def rank_draws(rank, world, port):
    "The draws of one process of a group"
    import torch.distributed as dist
    from face_fake_or_not.processes import GroupDL
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    dist.init_process_group('gloo', rank=rank, world_size=world)
    idxs = list(GroupDL(loaders('comb')[0], rank, world).get_idxs())
    dist.destroy_process_group()
    return idxs

def two_processes():
    "The draws of both ranks together"
    import socket
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    runs = [subprocess.Popen([sys.executable, __file__, '--rank', str(r), '--port', str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for r in range(2)]
    outs = [r.communicate(timeout=300)[0] for r in runs]
    if any(r.returncode for r in runs): sys.exit('a process of the pair failed: run one by hand with --rank 0 --port PORT')
    return [json.loads(o.splitlines()[-1]) for o in outs]

def main():
    "Count and compare; the last line is JSON"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--epochs', type=int, default=10)
    p.add_argument('--rank', type=int, help=argparse.SUPPRESS)
    p.add_argument('--port', type=int, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.rank is not None: return print(json.dumps(rank_draws(args.rank, 2, args.port)))
    figures = {}
    for kind in ('comb', 'die'):
        dl, train, wgts = loaders(kind)
        epochs = [list(dl.get_idxs()) for _ in range(args.epochs)]
        figures[kind] = {f'{by}_points': max(deviation(e, train, wgts, by) for e in epochs) for by in ('domain', 'label')} | dict(most_repeats=int(max(np.bincount(e).max() for e in epochs)))
        say(kind, figures[kind])
    parts = two_processes()
    both = parts[0] + parts[1]
    figures['two_processes'] = {f'{by}_points': deviation(both, train, wgts, by) for by in ('domain', 'label')} | dict(draws=[len(p) for p in parts], draws_differ=parts[0] != parts[1])
    asked = pd.Series(wgts).groupby((train.label + '/' + train.domain).to_numpy()).sum().round(4).to_dict()
    drawn = (train.label + '/' + train.domain).iloc[both].value_counts(normalize=True).round(4).to_dict()
    result('sampling', n=len(train), epochs=args.epochs, **figures, asked=asked, drawn_by_two=drawn)

if __name__ == '__main__': main()
