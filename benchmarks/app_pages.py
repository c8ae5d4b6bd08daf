"""The app in a real Chromium: every tab is used at desktop and phone width, in light and dark.

    python benchmarks/app_pages.py [--out FOLDER] [--axe axe.min.js] [--n 40]

It starts the app with two detectors and walks through it as a visitor would: one photo with its map, `--n` photos dragged from the disk with malformed ones among them, the table sorted
and its CSV compared with what `predict_batch` says, the comparison, the model card. It counts what the browser's console calls severe and pages that are wider than the screen, and checks that no upload is left once
the visitor has gone. `--out` keeps screenshots. `--axe` names axe-core's file (`npm pack axe-core`, then `package/axe.min.js`) and checks every state against WCAG 2.0 to 2.2, levels A and AA.

Photos are drawn, none is real. It needs chromium, chromedriver and selenium. Progress goes to standard error; the last line is one JSON object; exit status 1 where something is wrong."""
import argparse, csv, dataclasses, os, sys, tempfile, time
from pathlib import Path

from PIL.PngImagePlugin import PngInfo

from common import result, say

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT/'nbs')]
from _browser import BROWSER, console_errors, drop_files, open_page, open_tab, page_width, put_files, read_until, wait_for
from _heads import drawn_photo

RULES = 'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'
AXE = """const done = arguments[1]; axe.run(document, {runOnly: arguments[0]}).then(r => done([r.passes.length, r.violations.map(v => ({rule: v.id,
    where: v.nodes.map(n => n.target.join(' ') + ' | ' + n.html.slice(0, 140) + ' | ' + n.failureSummary.slice(0, 220))}))]))"""

def draw(folder, n):
    "Photos and files that are none"
    good = [folder/f'photo {i:02d}.jpg' for i in range(n)]
    for i, path in enumerate(good): drawn_photo(360 + 20*(i % 9), 320, (170, 160, 70 + 10*(i % 7)), back=(60 + 13*(i % 12), 140, 200 - 11*(i % 10))).save(path, quality=70 + i % 25)
    marks = PngInfo(); marks.add_text('parameters', 'a drawn face\nSteps: 20, Sampler: Euler, CFG scale: 7, Model: none')       # as image generators leave them
    drawn_photo(1200, 800, (330, 400, 240), (900, 430, 160)).save(folder/'two faces.png', pnginfo=marks)
    bad = {'text.jpg': b'This is no photo.', 'empty.png': b'', 'cut.jpg': good[0].read_bytes()[:900], '<b>name.jpg': b'GIF89a', 'vector.svg': b'<svg xmlns="http://www.w3.org/2000/svg"/>'}
    for name, data in bad.items(): (folder/name).write_bytes(data)
    return good, [folder/name for name in bad]

class Walk:
    "One visit at one width and in one mode"
    def __init__(self, url, width, theme, folder, out, axe):
        self.width, self.name, self.out, self.axe, self.found, self.passed, self.wide, self.downloads = width, f'{width}-{theme}', out, axe, {}, [], [], folder/f'downloads-{width}-{theme}'
        self.downloads.mkdir()
        self.driver = open_page(f'{url}?__theme={theme}', width, 900, self.downloads)

    def state(self, name):
        "Look at the page as it is now"
        d = self.driver
        if page_width(d) > self.width: self.wide.append(f'{self.name} {name}: {page_width(d)} px')
        if self.axe:
            d.execute_script(self.axe)
            passed, violations = d.execute_async_script(AXE, RULES)
            self.passed.append(passed)
            for v in violations: self.found.setdefault(v['rule'], []).extend(f'{self.name} {name}: {o}' for o in v['where'])
        if self.out:
            height = d.execute_script('return document.documentElement.scrollHeight')
            self.size(min(max(height, 700), 6000)); time.sleep(.5)
            d.save_screenshot(str(self.out/f'{self.name}-{name}.png')); self.size(900)
        say(f'{self.name} {name}')

    def size(self, height): self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=self.width, height=height, deviceScaleFactor=1, mobile=self.width < 600))

    def one(self, folder):
        d = self.driver
        read_until(d, 'will appear here', '#verdict'); self.state('1 start')
        put_files(d, '#photo', folder/'text.jpg'); read_until(d, 'No verdict', '#verdict'); self.state('2 problem')
        d.find_element('css selector', '#photo button[aria-label="Remove Image"]').click(); read_until(d, 'will appear here', '#verdict')
        put_files(d, '#photo', folder/'two faces.png'); read_until(d, 'Score', '#verdict'); read_until(d, 'Face 2', '#found')
        d.find_element('id', 'ask-map').click(); read_until(d, 'no proof', '#map'); self.state('3 one photo')

    def many(self, paths, detector):
        "Whether table and CSV are what `predict_batch` says"
        d, n = self.driver, len(paths)
        open_tab(d, 'Many photos'); self.state('4 many photos')
        drop_files(d, '#photos button.upload-container', *paths); read_until(d, f'{n} of {n} photos judged', '#progress'); read_until(d, 'CSV', '#csv')
        said = detector.predict_batch([p.read_bytes() for p in paths])
        scores = lambda: [o.text for o in d.find_elements('css selector', '#table tbody td:nth-child(4)')]
        d.find_elements('css selector', '#table th button')[2].click(); want = sorted(f'{p.score:.3f}' for p in said if not p.error)
        fine = scores() == want + [''] * (n - len(want))
        self.state('5 table')
        d.find_element('css selector', '#csv a').click(); wait_for(d, lambda d: list(self.downloads.glob('*.csv')), 'no CSV')
        rows = list(csv.DictReader(open(next(self.downloads.glob('*.csv')), encoding='utf-8-sig')))
        return fine and [(o['path'], o['verdict'], bool(o['error'])) for o in rows] == [(path.name, p.verdict or '', bool(p.error)) for path, p in zip(paths, said)]

    def rest(self, folder):
        d = self.driver
        open_tab(d, 'Compare'); put_files(d, '#compare-photo', folder/'two faces.png'); read_until(d, 'Detector', '#compared'); self.state('6 compare')
        open_tab(d, 'What it is worth'); read_until(d, 'Known to fail', '.ffon-card'); self.state('7 worth')
        d.find_element('css selector', '#card button').click(); read_until(d, 'Trained on', '#card'); self.state('8 card')

def visit(url, width, theme, folder, paths, detector, out, axe, left):
    "All of it once; a dictionary of what was wrong"
    walk = Walk(url, width, theme, folder, out, axe)
    try:
        walk.one(folder); fine = walk.many(paths, detector); walk.rest(folder)
        errors = console_errors(walk.driver)
        walk.driver.get('about:blank')
        try: wait_for(walk.driver, lambda d: not left(), 'uploads are left', 30)
        except Exception: pass
    finally: walk.driver.quit()
    return dict(page=walk.name, csv_and_table_right=fine, console_errors=errors, too_wide=walk.wide, uploads_left=left(), axe=walk.found, axe_rules_passed=walk.passed)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', type=Path, help='folder for screenshots'); p.add_argument('--axe', type=Path, help="axe-core's axe.min.js"); p.add_argument('--n', type=int, default=40, help='photos to drop')
    p.add_argument('--pages', default='1280-light,1280-dark,390-light,390-dark')
    args = p.parse_args()
    if not BROWSER: sys.exit('chromium, chromedriver and selenium are needed')
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp); os.environ.update(GRADIO_ANALYTICS_ENABLED='False', GRADIO_TEMP_DIR=str(tmp/'uploads'))
        from face_fake_or_not.app import CSS, create_app, theme
        from face_fake_or_not.detector import load_detector
        detector, stricter = load_detector(), load_detector()
        stricter.rule = dataclasses.replace(stricter.rule, fake_above=.95, real_below=.05)
        good, bad = draw(tmp, args.n)
        if args.out: args.out.mkdir(parents=True, exist_ok=True)
        demo, axe = create_app(detector, {'the same, stricter': stricter}, max_files=args.n + 10), args.axe and args.axe.read_text(encoding='utf8')
        _, url, _ = demo.launch(css=CSS, theme=theme(), ssr_mode=False, quiet=True, prevent_thread_lock=True)
        left = lambda: sorted(f.name for f in (tmp/'uploads').rglob('*') if f.is_file())
        try: seen = [visit(url, int(w), t, tmp, good + bad, detector, args.out, axe, left) for w, t in (o.split('-') for o in args.pages.split(','))]
        finally: demo.close(verbose=False)
    rules = {rule: [w for v in seen for w in v['axe'].get(rule, [])] for rule in sorted({r for v in seen for r in v['axe']})}
    for rule, where in rules.items():
        say(f'axe {rule}: {len(where)}'); [say(f'   {o}') for o in where[:4]]
    wrong = sum(not v['csv_and_table_right'] or bool(v['console_errors'] or v['too_wide'] or v['uploads_left']) for v in seen) + len(rules)
    result('app_pages', photos=len(good), malformed=len(bad), visits=[{k: v[k] for k in v if k != 'axe'} for v in seen], axe={r: len(w) for r, w in rules.items()} if args.axe else None, wrong=wrong)
    sys.exit(bool(wrong))

if __name__ == '__main__': main()
