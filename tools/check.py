"""The checks that follow the notebook tests: one line each, exit status 1 when any fails.

`python tools/check.py` runs all of them, `python tools/check.py light wheel` those two."""
import ast, json, os, re, shutil, subprocess, sys, tempfile, zipfile
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

from fastcore.nbio import read_nb
from fastcore.xtras import working_directory
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.doclinks import nbdev_export

import readme

ROOT, LIB = readme.ROOT, 'face_fake_or_not'
LIGHT = 'core law faces decode image evidence verdict intervals items duplicates frames download shards headshots sources facts harmonise audit tiers metrics evaluate plots robustness thresholds explain report hub runtime detector bulk rates words pictures app serve cli'.split()
SLOW_IMPORTS = 'torch', 'fastai'
ALL_IMPORTS = SLOW_IMPORTS + ('numpy', 'PIL', 'pandas', 'gradio', 'onnxruntime')
MAX_LINES = 45
SUFFIXES = {'.ipynb', '.py', '.md', '.ini', '.toml', '.yml', '.cfg', '.txt', ''}
MACHINE_PATH = re.compile(r'(?<![\w.~-])/(?:work|root|tmp)/')
TEST = re.compile(r'\bassert\b|\btest_\w+\(|\b(?:expect_fail|raises)\(')
DEFINES = re.compile(r'^(?:async def|def|class) ', re.M)

@contextmanager
def scratch():
    "A copy of what clean, export and build need, as working directory"
    with tempfile.TemporaryDirectory() as tmp:
        for p in ROOT.iterdir():
            if p.is_file(): shutil.copy2(p, tmp)
        skip = shutil.ignore_patterns('.ipynb_checkpoints', '__pycache__')
        for d in ('nbs', LIB): shutil.copytree(ROOT/d, Path(tmp, d), ignore=skip)
        with working_directory(tmp): yield Path(tmp)

def read(path): return path.read_text(encoding='utf-8') if path.exists() else None

def differing(tmp, *patterns):
    "Files matching `patterns` that are not the same here and in `tmp`"
    names = {p.relative_to(d) for d in (ROOT, tmp) for o in patterns for p in d.glob(o)}
    names = {o for o in names if '.ipynb_checkpoints' not in o.parts}
    return sorted(o.as_posix() for o in names if read(ROOT/o) != read(tmp/o))

def notebooks(): return sorted((ROOT/'nbs').glob('*.ipynb'))

def default_exp(nb):
    "The module that `nb` exports to, or None"
    names = [c.directives['default_exp'] for c in nb.cells if 'default_exp' in c.directives]
    return names[0] if names else nb.metadata.get('nbdev', {}).get('default_exp')

def numbers():
    "Module -> number, from the notebooks `NN_name.ipynb` that export to `name`"
    pairs = [(p, *p.stem.split('_', 1)) for p in notebooks() if re.match(r'\d+[a-z]?_', p.stem)]
    return {name: num for p, num, name in pairs if default_exp(read_nb(p)) == name}

def modules(): return sorted(p for p in (ROOT/LIB).rglob('*.py') if p.name not in ('__init__.py', '_modidx.py'))

def dotted(node):
    "What an import statement `node` names, with relative imports made absolute"
    if isinstance(node, ast.Import): return [a.name for a in node.names]
    if not isinstance(node, ast.ImportFrom): return []
    base = '.'.join(filter(None, [LIB if node.level else '', node.module]))
    return [f'{base}.{a.name}' for a in node.names]

def used(path):
    "Modules of the package that the file at `path` imports, also inside functions"
    names = [o.split('.') for n in ast.walk(ast.parse(read(path))) for o in dotted(n)]
    return {o[1] for o in names if o[0] == LIB and len(o) > 1}

def loaded(module, heavy):
    "A problem if importing `module` in a fresh interpreter loads any of `heavy`"
    code = f'import sys, {module}; print(*sorted(set(sys.modules) & set({heavy!r})))'
    r = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    if r.returncode: return f'{module} does not import: {last_lines(r.stderr, 1)}'
    if r.stdout.split(): return f'{module} loads {", ".join(r.stdout.split())}'

def last_lines(text, n=3): return ' '.join(text.split('\n')[-n-1:]).strip() or 'no output'

def tracked():
    "Files that git tracks or would track"
    cmd = ['git', '-c', 'safe.directory=*', 'ls-files', '-zco', '--exclude-standard']
    r = subprocess.run(cmd, cwd=ROOT, capture_output=True, encoding='utf-8', check=True)
    return [ROOT/o for o in r.stdout.split('\0') if Path(o).suffix in SUFFIXES and (ROOT/o).is_file()]

def strings(o):
    "Every string in parsed JSON `o`, without the data of images"
    if isinstance(o, str): yield re.sub(r'\x1b\[[\d;]*m', '', o)
    elif isinstance(o, list): yield from (s for v in o for s in strings(v))
    elif isinstance(o, dict): yield from (s for k, v in o.items() if not k.startswith('image/') for s in strings(v))

def lines(path):
    "The text of the file at `path`, line by line"
    if path.suffix != '.ipynb': return read(path).splitlines()
    return [l for s in strings(json.loads(read(path))) for l in s.splitlines()]

def undocumented(cell):
    "Public functions and classes that `cell` defines without a docstring"
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    defs = [n for n in cell.parsed_() or [] if isinstance(n, kinds) and not n.name.startswith('_')]
    return [n.name for n in defs if not ast.get_docstring(n)]

def shape_of(path):
    "Problems with the shape of the notebook at `path`"
    nb = read_nb(path)
    code = [c for c in nb.cells if c.cell_type == 'code']
    exported = [c for c in code if {'export', 'exports', 'exporti'} & set(c.directives)]
    if not exported or not default_exp(nb): return
    n_defs = sum(bool(DEFINES.search(c.source)) for c in exported)
    n_tests = sum(bool(TEST.search(c.source)) for c in code if c not in exported)
    if n_tests < n_defs: yield f'{path.name} has {n_tests} test cells for {n_defs} exported cells with definitions'
    for c in exported:
        n = len(c.source.splitlines())
        if n > MAX_LINES: yield f'{path.name} cell {c.id} has {n} lines'
        yield from (f'{path.name} {o} has no docstring' for o in undocumented(c))

def metadata():
    "settings.ini, pyproject.toml and `__version__` agree"
    parser = ConfigParser(delimiters=['='])
    parser.read(ROOT/'settings.ini', encoding='utf-8')
    ini, cfg = parser['DEFAULT'], get_config(ROOT)
    keys = 'lib_name version min_python title branch git_url doc_host doc_baseurl custom_sidebar tst_flags'.split()
    return [f'{k} is {ini[k]} in settings.ini, {getattr(cfg, k)} elsewhere' for k in keys if ini[k] != str(getattr(cfg, k))]

def clean():
    "notebooks are as nbdev-clean leaves them"
    with scratch() as tmp:
        nbdev_clean.__wrapped__()
        return [f'{o} is not clean: run nbdev-clean' for o in differing(tmp, 'nbs/**/*.ipynb')]

def export():
    "the package is what the notebooks export"
    os.environ.pop('IN_TEST', None)  # where it is set, nbdev does not export
    with scratch() as tmp:
        for p in (tmp/LIB).rglob('*.py'):
            if p.name != '__init__.py': p.unlink()
        nbdev_export.__wrapped__()
        return [f'{o} is out of step: run nbdev-export' for o in differing(tmp, f'{LIB}/**/*.py', 'nbs/llms.txt')]

def in_sync():
    "README.md is what index.ipynb gives"
    return [] if readme.in_sync() else ['README.md differs from nbs/index.ipynb: run python tools/readme.py']

def order():
    "every module has its numbered notebook and imports lower numbers only"
    nums = numbers()
    for p in modules():
        own = nums.get(p.stem)
        if own is None: yield f'{p.name} has no notebook NN_{p.stem}.ipynb with default_exp {p.stem}'
        elif p.stem != 'all': yield from (f'{own}_{p.stem} imports {nums[o]}_{o}' for o in sorted(used(p)) if nums.get(o, '') >= own)

def light():
    "light modules load neither torch nor fastai, the bare package nothing heavy"
    names = [f'{LIB}.{o}' for o in LIGHT if (ROOT/LIB/f'{o}.py').exists()]
    return filter(None, [loaded(LIB, ALL_IMPORTS), *(loaded(o, SLOW_IMPORTS) for o in names)])

def wheel():
    "the wheel holds every module and every embedded file"
    with scratch() as tmp:
        cmd = [sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', 'dist']
        r = subprocess.run(cmd, capture_output=True, text=True)
        if r.returncode: return [f'build failed: {last_lines(r.stdout + r.stderr)}']
        held = set(zipfile.ZipFile(next(Path('dist').glob('*.whl'))).namelist())
        wanted = [*(tmp/LIB).rglob('*.py'), *(p for d in ('embedded', 'embedded_faces') for p in (tmp/LIB/d).rglob('*') if p.is_file())]
        return [f'{o} is missing' for o in sorted(p.relative_to(tmp).as_posix() for p in wanted) if o not in held]

def paths():
    "no tracked text names a path of one machine"
    for p in tracked():
        hits = [l.strip() for l in lines(p) if MACHINE_PATH.search(l)]
        if hits: yield f'{p.relative_to(ROOT).as_posix()} has {hits[0][:80]!r}'

def shape():
    "notebooks have enough tests, short exported cells and documented names"
    return [o for p in notebooks() for o in shape_of(p)]

CHECKS = dict(metadata=metadata, clean=clean, export=export, readme=in_sync, order=order, light=light, wheel=wheel,
              paths=paths, shape=shape)

def run(name):
    "Run the check `name`, print its line and return whether it passed"
    try: problems = list(CHECKS[name]())
    except Exception as e: problems = [f'{type(e).__name__}: {e}']
    print(f'FAIL {name}: ' + '; '.join(problems) if problems else f'ok {name}: {CHECKS[name].__doc__}', flush=True)
    return not problems

def main():
    wanted = sys.argv[1:] or list(CHECKS)
    if set(wanted) - set(CHECKS): sys.exit(f"no such check; there are {', '.join(CHECKS)}")
    if not all([run(o) for o in wanted]): sys.exit(1)

if __name__ == '__main__': main()
