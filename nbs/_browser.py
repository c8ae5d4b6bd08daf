"""A headless Chromium for the tests of pages; `BROWSER` is False where it is missing, and that is said."""
import importlib.util, shutil

def first_program(*names): return next((p for p in map(shutil.which, names) if p), None)

CHROMIUM, DRIVER = first_program('chromium', 'chromium-browser', 'google-chrome'), first_program('chromedriver', 'chromium.chromedriver')
BROWSER = bool(CHROMIUM and DRIVER and importlib.util.find_spec('selenium'))
if not BROWSER: print('SKIPPED: the tests in a browser, which need chromium, chromedriver and selenium')

def open_page(url, width=1280, height=1400, downloads=None):
    "A headless Chromium that shows `url`; what it downloads goes to the folder `downloads`"
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service
    options = ChromeOptions(); options.binary_location = CHROMIUM
    for o in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'): options.add_argument(o)
    options.set_capability('goog:loggingPrefs', dict(browser='ALL'))
    driver = Chrome(options, Service(DRIVER))
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 600))
    if downloads: driver.execute_cdp_cmd('Browser.setDownloadBehavior', dict(behavior='allow', downloadPath=str(downloads)))
    driver.get(url)
    return driver

def wait_for(driver, f, says, seconds=60):
    "What `f(driver)` returns, once it is true"
    from selenium.webdriver.support.ui import WebDriverWait
    return WebDriverWait(driver, seconds, ignored_exceptions=[Exception]).until(f, says)

def read_until(driver, text, css):
    "Text of the part `css`, once `text` is in it"
    def seen(d):
        t = ' '.join(o.text for o in d.find_elements('css selector', css))
        return t if text in t else False
    return wait_for(driver, seen, f'{text!r} did not appear in {css}')

def open_tab(driver, name):
    "Click on a tab by its name"
    wait_for(driver, lambda d: [o.click() or 1 for o in d.find_elements('css selector', 'button[role=tab]') if o.text == name], f'no tab {name}')

def put_files(driver, css, *paths):
    "Choose files in the upload field of the part `css`, as its dialog does"
    wait_for(driver, lambda d: d.find_elements('css selector', f'{css} input[type=file]'), f'no upload field in {css}')[0].send_keys('\n'.join(map(str, paths)))

def drop_files(driver, css, *paths):
    "Drag files from the disk onto the part `css` and let them go, as the browser itself sees a mouse do it"
    spot = wait_for(driver, lambda d: d.find_elements('css selector', css), f'no {css}')[0]
    driver.execute_script('arguments[0].scrollIntoView({block: "center"})', spot)
    box = driver.execute_script('const b = arguments[0].getBoundingClientRect(); return [b.x + b.width/2, b.y + b.height/2]', spot)
    for kind in ('dragEnter', 'dragOver', 'drop'):
        driver.execute_cdp_cmd('Input.dispatchDragEvent', dict(type=kind, x=box[0], y=box[1], data=dict(items=[], files=[str(p) for p in paths], dragOperationsMask=1)))

def press(driver, *keys):
    "Press keys, one after the other, wherever the focus is"
    from selenium.webdriver.common.action_chains import ActionChains
    for k in keys: ActionChains(driver).send_keys(k).perform()

def focus_by_tab(driver, css, most=60):
    "Press Tab until an element that matches `css` has the focus; how often it took"
    for i in range(most):
        press(driver, '\ue004')
        if driver.execute_script('return document.activeElement.matches(arguments[0])', css): return i + 1
    raise AssertionError(f'Tab does not reach {css}')

def console_errors(driver):
    "Severe lines of the browser's console that are the page's own; a machine without a network cannot reach other hosts"
    return [o['message'] for o in driver.get_log('browser') if o['level'] == 'SEVERE' and 'ERR_' not in o['message']]

def page_width(driver): return driver.execute_script('return document.documentElement.scrollWidth')
