#!/usr/bin/env python
"""Three phases (head, last stage and head, all) with the frozen part's activations kept, against a plain PyTorch loop over the same phases and against fastai's `fine_tune` over as many epochs.

`python benchmarks/schedule.py` trains the three one after another on the same faces, from the same weights, with the same DataLoaders, batch size, memory layout and head. The plain loop is written as such
projects write it: `requires_grad` is switched, Adam is made anew for each phase, every epoch decodes all images and runs the whole network, whose batch norms follow the batch. fastai's `fine_tune` has one frozen epoch.
An epoch is training and validation together; a phase of ours holds the filling and what is written to disk; balanced accuracy at 0.5 is computed in each epoch of all three and counts.
Where other programs use the same cores, go by the ratios of CPU seconds (`..._cpu_...`).

How much the whole run can gain is bounded by what cannot be kept: in the phase that trains everything nothing is frozen. `bound` is the plain run's seconds over those of its phases that ours does not cache, `projected` the same
arithmetic for fewer epochs of them. What would move the bound: fewer epochs of everything (`--epochs 3 3 1`), a trained end that is shorter than everything (`--third 3`: the last two stages and the head, which is cached
again), and whatever makes that phase itself cheaper: mixed precision, and a GPU for the network and for decoding. The rates are those of the plain project by default; on few images 1e-5 teaches little (`--rates`)."""
import argparse, os, tempfile, time, warnings
from pathlib import Path

os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')           # waiting threads that spin take the cores from the processes that decode: up to ten times as slow where others use them too

import pandas as pd

from common import need, result, say, shared_dir

WEIGHTS = 'mobilenetv2_100.imagenet_fp16.pth'

def parse_args():
    "The command line"
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', type=Path, default=shared_dir()/'data', help='folder with items.csv')
    p.add_argument('--arch', help='timm or torchvision name; its weights are downloaded unless --weights names a file (default: what the weights file holds)')
    p.add_argument('--weights', type=Path, help=f'weights file with its JSON (default: {WEIGHTS} of the shared weights, unless --arch is given)')
    p.add_argument('--n', type=int, default=1600, help='training images')
    p.add_argument('--n-valid', type=int, default=500, help='validation images')
    p.add_argument('--size', type=int, default=128, help='side of the square in pixels')
    p.add_argument('--bs', type=int, default=32)
    p.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes that load images')
    p.add_argument('--epochs', type=int, nargs=3, default=(3, 3, 4), help='of the three phases')
    p.add_argument('--rates', type=float, nargs=3, default=(1e-3, 1e-4, 1e-5), help='of the three phases')
    p.add_argument('--third', default='all', help="what the third phase trains: 'all', or how many groups from the end")
    p.add_argument('--sched', default='flat', help='of our phases; the plain loop is flat')
    p.add_argument('--flip', action='store_true', help='mirror half of the training images; ours keeps two views')
    p.add_argument('--single', action='store_true', help='keep single precision')
    p.add_argument('--disk', action='store_true', help='keep on disk')
    p.add_argument('--seed', type=int, default=42)
    return p.parse_args()

# --- The same for all three ---

def subset(data, n, n_valid, seed):
    "A seeded draw of training and validation images of the manifest"
    from face_fake_or_not.items import face_items
    items = face_items(csv=need(data/'items.csv', 'The manifest'), check=False)
    parts = [items[items.split == s].pipe(lambda d: d.sample(min(k, len(d)), random_state=seed)) for s, k in (('train', n), ('valid', n_valid))]
    return pd.concat(parts, ignore_index=True)

def learner(items, args, path, **kwargs):
    "A learner over the images: the same weights, head and order of images whenever it is made"
    from fastai.metrics import BalancedAccuracy, RocAucBinary
    from face_fake_or_not.core import seed_everything
    from face_fake_or_not.data import face_dataloaders
    from face_fake_or_not.learner import face_learner
    seed_everything(args.seed)
    dls = face_dataloaders(items, args.size, args.bs, balance=None, batch_tfms=None if args.flip else [], num_workers=args.workers)
    weights = args.weights or (None if args.arch else need(args.data.resolve().parent/'weights'/WEIGHTS, 'The backbone'))
    return face_learner(dls, args.arch, weights=weights, metrics=[BalancedAccuracy(), RocAucBinary()], path=Path(path), **kwargs)

def phases_of(args):
    "The schedule, as the plain loop and ours both read it"
    from face_fake_or_not.schedule import Phase
    trained = ('head', 'last', int(args.third) if args.third.isdigit() else args.third)
    names = ('head', 'last', 'all' if args.third == 'all' else f'last {args.third}')
    return tuple(Phase(name, e, lr, t, wd=1e-5, sched=args.sched) for name, t, e, lr in zip(names, trained, args.epochs, args.rates))

def cpu_seconds():
    "Of this process and of those that loaded images for it; other programs on the same cores do not change it much"
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system

class Clock:
    "Seconds and figures of each epoch"
    def __init__(self): self.rows, self.start, self.cpu_start = [], time.perf_counter(), cpu_seconds()
    def begin(self): self.began, self.cpu_began = time.perf_counter(), cpu_seconds()

    def end(self, phase, balanced):
        now, cpu = time.perf_counter(), cpu_seconds()
        self.rows.append(dict(phase=phase, seconds=now - self.began, cpu=cpu - self.cpu_began, at=now - self.start, balanced=float(balanced)))
        say(f'{phase:>10} {now - self.began:7.2f} s  balanced accuracy {balanced:.4f}')

    def stop(self):
        self.total, self.cpu_total = time.perf_counter() - self.start, cpu_seconds() - self.cpu_start
        return self

def fastai_clock(clock, phase_of):
    "The callback that reads the clock before all others begin an epoch and after all have ended it"
    from fastai.callback.core import Callback
    class Early(Callback):
        order = -1000
        def before_epoch(self): clock.begin()
    class Late(Callback):
        order = 1000
        def after_epoch(self): clock.end(phase_of(self.learn), self.recorder.values[-1][list(self.recorder.metric_names[1:]).index('balanced_accuracy_score')])
    return [Early(), Late()]

# --- The three ---

def set_trainable(model, k):
    "Leave the last `k` groups trainable; None means all"
    from face_fake_or_not.learner import face_splitter
    for p in model.parameters(): p.requires_grad = k is None
    for group in [] if k is None else face_splitter(model)[-k:]:
        for p in group: p.requires_grad = True

def plain_epoch(model, opt, loss_func, dl):
    "Train on every batch once"
    model.train()
    total = 0.
    for x, y in dl:
        opt.zero_grad()
        loss = loss_func(model(plain(x)), plain(y))
        loss.backward()
        opt.step()
        total += loss.item()
    return total

def plain(t):
    "Without fastai's tensor type, which costs a little at each step"
    import torch
    return t.as_subclass(torch.Tensor)

def balanced_accuracy(model, dl):
    "At 0.5, of the classes that the larger logit names"
    import torch
    from sklearn.metrics import balanced_accuracy_score
    model.eval()
    with torch.no_grad(): said, true = zip(*[(model(plain(x)).argmax(1), plain(y)) for x, y in dl])
    return balanced_accuracy_score(torch.cat(true).cpu(), torch.cat(said).cpu())

def run_plain(items, args, path):
    "A loop without a library around it"
    import torch
    learn, k = learner(items, args, path), dict(head=1, last=2, all=None)
    model, dls, clock = learn.model.to(learn.dls.device), learn.dls, Clock()
    for phase in phases_of(args):
        set_trainable(model, k.get(phase.train, phase.train))
        opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=phase.lr, weight_decay=phase.wd)
        for _ in range(phase.epochs):
            clock.begin()
            plain_epoch(model, opt, torch.nn.CrossEntropyLoss(), dls.train)
            clock.end(phase.name, balanced_accuracy(model, dls.valid))
    return clock.stop()

def run_fine_tune(items, args, path):
    "fastai's recipe at its own rates, with as many epochs"
    learn, epochs = learner(items, args, path), sum(args.epochs)
    clock = Clock()
    phase_of = lambda l: 'unfrozen' if l.opt.frozen_idx == 0 else 'frozen'
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(epochs - 1, freeze_epochs=1, cbs=fastai_clock(clock, phase_of))
    return clock.stop()

def run_ours(items, args, path):
    "`fit_progressive` with the cache; what it kept"
    from face_fake_or_not.prefix import Cache
    learn = learner(items, args, path)
    cache, clock = Cache(views=2 if args.flip else 1, half=not args.single, memory_gb=0 if args.disk else None), Clock()
    with learn.no_bar(), learn.no_logging(): learn.fit_progressive(phases_of(args), cache=cache, cbs=fastai_clock(clock, lambda l: l.phase))
    return clock.stop(), learn.caching

# --- Figures ---

def parts_of_an_epoch(items, args, path):
    "Seconds of an epoch's decoding alone, and of its network alone with the head training, from batches that are ready"
    import torch
    learn = learner(items, args, path)
    model, dls = learn.model.to(learn.dls.device), learn.dls
    for _ in range(2):                                        # the first pass brings the files into memory
        start = time.perf_counter()
        ready = [b for dl in dls.loaders for i, b in enumerate(dl) if dl is dls.train and i < 16]
        decode = time.perf_counter() - start
    set_trainable(model, 1)
    opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    plain_epoch(model, opt, torch.nn.CrossEntropyLoss(), ready[:2])
    start = time.perf_counter()
    plain_epoch(model, opt, torch.nn.CrossEntropyLoss(), ready)
    network = (time.perf_counter() - start) / sum(len(b[1]) for b in ready) * (len(dls.train) * dls.train.bs + len(dls.valid_ds))
    return decode, network

def summary(clock):
    "What the report says of one training"
    rows = pd.DataFrame(clock.rows)
    return dict(total_s=round(clock.total, 1), total_cpu_s=round(clock.cpu_total, 1), phase_s=phase_seconds(clock).round(2).to_dict(), epoch_s={k: g.round(2).tolist() for k, g in rows.groupby('phase', sort=False).seconds},
                balanced_accuracy=rows.balanced.round(4).tolist(), best=round(rows.balanced.max(), 4))

def seconds_to(clock, target):
    "When balanced accuracy first reached the target; None where it did not"
    return next((round(r['at'], 1) for r in clock.rows if r['balanced'] >= target), None)

def phase_seconds(clock):
    "From the end of the phase before to the end of its last epoch, so that filling counts"
    ends = pd.DataFrame(clock.rows).groupby('phase', sort=False)['at'].last()
    return ends.diff().fillna(ends)

def mean_epochs(clock, column='seconds'): return pd.DataFrame(clock.rows).groupby('phase', sort=False)[column].mean()

def derived(plain, ours, caching):
    "Ratios, plain over ours, and what bounds the whole"
    a, c, cached = mean_epochs(plain), mean_epochs(ours), [x['phase'] for x in caching if x['cached']]
    epochs = pd.DataFrame(plain.rows).groupby('phase', sort=False).size()
    bounded = [p for p in a.index if p not in cached]
    fixed = ours.total - (c * epochs).sum()                   # filling, and what lies between the epochs
    def bound(e):                                             # with e epochs in the phases that are not cached
        n = pd.Series({p: e if p in bounded else k for p, k in epochs.items()})
        rest = (a * n)[bounded].sum()
        return dict(bound=round((a * n).sum() / rest, 2), ratio=round((a * n).sum() / (fixed + (c * n).sum()), 2))
    rest, rest_cpu = (sum(r[k] for r in plain.rows if r['phase'] in bounded) for k in ('seconds', 'cpu'))
    whole = plain.total / ours.total
    return dict(epoch_ratio=(a / c).round(2).to_dict(), epoch_cpu_ratio=(mean_epochs(plain, 'cpu') / mean_epochs(ours, 'cpu')).round(2).to_dict(), phase_ratio=(phase_seconds(plain) / phase_seconds(ours)).round(2).to_dict(), whole_ratio=round(whole, 3), whole_cpu_ratio=round(plain.cpu_total / ours.cpu_total, 3), bound=round(plain.total / rest, 3) if rest else None, bound_cpu=round(plain.cpu_total / rest_cpu, 3) if rest else None,
                share_of_bound=round(whole * rest / plain.total, 3) if rest else None, projected={e: bound(e) for e in (4, 2, 1)} if bounded else None)

def main():
    "Run the three; the last line is JSON"
    args = parse_args()
    warnings.filterwarnings('ignore')
    items, load = subset(args.data, args.n, args.n_valid, args.seed), os.getloadavg() if hasattr(os, 'getloadavg') else None
    with tempfile.TemporaryDirectory() as tmp:
        say('decoding alone, the network alone'); decode, network = parts_of_an_epoch(items, args, tmp)
        say('plain loop'); a = run_plain(items, args, tmp)
        say('fit_progressive'); c, caching = run_ours(items, args, tmp)
        say('fine_tune'); b = run_fine_tune(items, args, tmp)
    target = max(r['balanced'] for r in a.rows) - .005
    arms = {k: summary(clock) | dict(to_target_s=seconds_to(clock, target)) for k, clock in dict(plain=a, fine_tune=b, ours=c).items()}
    for k, s in arms.items(): print(f"{k:>10}: {s['total_s']} s, target {target:.4f} {'not reached' if s['to_target_s'] is None else 'after ' + str(s['to_target_s']) + ' s'}, best {s['best']}")
    head = mean_epochs(a)['head']
    result('schedule', n=int((items.split == 'train').sum()), n_valid=int((items.split == 'valid').sum()), size=args.size, bs=args.bs, workers=args.workers, rates=args.rates, third=args.third, sched=args.sched, flip=args.flip,
           **arms, caching=caching, target=round(target, 4), **derived(a, c, caching), to_fine_tune=round(b.total / c.total, 3), to_fine_tune_cpu=round(b.cpu_total / c.cpu_total, 3),
           head_epoch=dict(decode_alone_s=round(decode, 2), network_alone_s=round(network, 2), epoch_s=round(head, 2), decode_share=round(decode / (decode + network), 3)),
           load=[round(x, 2) for x in (*load, *os.getloadavg())] if load else None)

if __name__ == '__main__': main()
