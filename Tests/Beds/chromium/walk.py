#!/usr/bin/python3
"""Walks through a dashboard with a real browser, as a person would, and keeps what it saw.

    ROLLCALL_PASSWORD=... [ROLLCALL_SETUP_CODE=...] walk.py URL FOLDER

Opens URL, makes the first user when asked to (with the set-up code), else logs in; visits every page by its links; waits for a live
update; looks for what overflows on a phone; saves pictures as FOLDER/NAME-{desktop,phone}[-dark].png. User: ROLLCALL_USER, or ada.
Needs Debian's chromium, chromium-driver and python3-selenium. Exit code 0 when all was as it should be.
"""

import os
import sys
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SIZES = {"desktop": (1280, 900), "phone": (360, 740)}
faults = []


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    url, folder = sys.argv[1].rstrip("/"), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rollcall-chromium-") as profile:
        browser = start(profile)
        try:
            walk(browser, url, folder)
        finally:
            browser.quit()
    for fault in faults:
        print("FAULT", fault)
    print("ok" if not faults else f"{len(faults)} faults")
    sys.exit(1 if faults else 0)


def start(profile):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={profile}"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    browser.set_page_load_timeout(30)
    return browser


def walk(browser, url, folder):
    browser.get(url + "/")
    enter(browser, folder)
    browser.get(url + "/")
    expect("services" in browser.current_url or browser.current_url == url + "/", "the services come after the login")
    picture(browser, folder, "services")

    links = {"hosts": f"{url}/hosts", "add-host": f"{url}/hosts/add", "health": f"{url}/status/details", "not-found": f"{url}/nothing-here"}
    services = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "tbody th a")]
    if services:
        links = {"service": services[0], **links}
    for name, link in links.items():
        browser.get(link)
        picture(browser, folder, name)
        if name == "hosts":
            hosts = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "tbody th a")]
    for number, link in enumerate(hosts[:2]):
        browser.get(link)
        picture(browser, folder, f"host-{number + 1}")
    without_javascript(browser, url, folder)
    if services:
        live(browser, services[0])
    token(browser, url, folder)
    console(browser)
    log_out(browser, url)


def enter(browser, folder):
    user, password = os.environ.get("ROLLCALL_USER", "ada"), os.environ["ROLLCALL_PASSWORD"]
    if browser.current_url.endswith("/setup"):
        picture(browser, folder, "setup")
        fill(browser, code="wrong code", name=user, password=password)
        expect(browser.find_elements(By.CSS_SELECTOR, "[role=alert]"), "a wrong code is refused with a reason")
        picture(browser, folder, "setup-refused")
        fill(browser, code=os.environ["ROLLCALL_SETUP_CODE"], name=user, password=password)
        log_out(browser, origin(browser))
    picture(browser, folder, "login")
    fill(browser, name=user, password="not the password")
    expect(browser.find_elements(By.CSS_SELECTOR, "[role=alert]"), "a wrong password is refused with a reason")
    fill(browser, name=user, password=password)


def fill(browser, **fields):
    for name, value in fields.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(value)
    submit(browser, "main form button")


def submit(browser, selector):
    press(browser, browser.find_element(By.CSS_SELECTOR, selector))


def press(browser, button):
    button.click()
    WebDriverWait(browser, 10).until(lambda b: gone(button) and b.execute_script("return document.readyState") == "complete")


def gone(element):
    try:
        return not element.is_enabled()
    except Exception:  # the element belongs to a page that is no more
        return True


def picture(browser, folder, name):
    """Pictures in both widths, light and dark, of the whole page; and nothing may stick out to the right."""
    for size, (width, height) in SIZES.items():
        for scheme in ["light", "dark"]:
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            expect(wide <= width, f"{name} fits into {width} pixels, and is {wide} wide")
            metrics["height"] = max(height, browser.execute_script("return document.documentElement.scrollHeight"))
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            suffix = "-dark" if scheme == "dark" else ""
            browser.save_screenshot(os.path.join(folder, f"{name}-{size}{suffix}.png"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    outline(browser, name)


def outline(browser, name):
    """What a screen reader goes by."""
    headings = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    expect(headings.count(1) == 1 and headings[0] == 1, f"{name} has one first heading, and begins with it")
    expect(all(b - a <= 1 for a, b in zip(headings, headings[1:])), f"{name} skips no level of headings: {headings}")
    for selector in ["main", "header", "html[lang]", "head > title"]:
        expect(len(browser.find_elements(By.CSS_SELECTOR, selector)) == 1, f"{name} has one {selector}")
    bare = browser.execute_script(
        """return [...document.querySelectorAll('input:not([type=hidden])')].filter(i => !i.labels.length).map(i => i.name)
            .concat([...document.querySelectorAll('table')].filter(t => !t.caption).map(() => 'table'))
            .concat([...document.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-hidden') && !s.querySelector('title')).map(() => 'svg'))
            .concat([...document.querySelectorAll('a,button,summary')].filter(a => !a.innerText.trim() && a.checkVisibility()).map(a => a.outerHTML))"""
    )
    expect(not bare, f"{name}: everything has a name, but not {bare}")
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    expect(len(ids) == len(set(ids)), f"{name} uses every id once")
    dim = browser.execute_script(CONTRAST)
    expect(not dim, f"{name}: contrast of text below 4.5: {dim}")


CONTRAST = """
const light = c => { const f = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
const parse = t => (t.match(/[\\d.]+/g) || []).map(Number);
const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255]; };
return [...new Set([...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.offsetParent
  && !e.closest('.unseen')).map(e => {
  const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + '.' + e.className + ' ' + e.innerText.slice(0, 30)];
}).filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => ratio.toFixed(2) + ' ' + what))];
"""


def live(browser, link):
    """A page says that it is live, changes by itself, and keeps its place and the keyboard's."""
    browser.get(link)
    wait = WebDriverWait(browser, 20)
    wait.until(lambda b: b.find_element(By.ID, "live").text == "Live")
    browser.execute_script("window.scrollTo(0, 150); document.querySelector('main a').focus({preventScroll: true})")
    focused = browser.execute_script("return document.activeElement.getAttribute('href')")
    place = browser.execute_script("return scrollY")
    seen = browser.execute_script("const m = document.getElementById('main'); m.dataset.seen = 'yes'; return m.dataset.seen")
    expect(seen == "yes", "the main part can be marked")
    try:
        wait.until(lambda b: b.execute_script("return document.getElementById('main').dataset.seen !== 'yes'"))
    except Exception:
        expect(False, "a live update arrives within 20 s")
    expect(browser.execute_script("return document.activeElement.getAttribute('href')") == focused, "the focus stays where it was")
    expect(browser.execute_script("return scrollY") == place, "the page stays where it was")


def without_javascript(browser, url, folder):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(url + "/hosts")
    expect(len(browser.find_elements(By.CSS_SELECTOR, "main h1")) == 1, "pages work without JavaScript")
    expect(not browser.find_element(By.ID, "live").is_displayed(), "without JavaScript nothing claims to be live")
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def token(browser, url, folder):
    name = f"web{int(time.time()) % 1000}"
    browser.get(url + "/hosts/add")
    fill(browser, name=name)
    expect("set aggregator " in browser.find_element(By.TAG_NAME, "main").text, "a new token comes with the lines for the agent")
    picture(browser, folder, "new-token")
    browser.get(url + "/hosts/add")
    picture(browser, folder, "add-host-with-token")
    fill(browser, name=name)
    expect(browser.find_elements(By.CSS_SELECTOR, "[role=alert]"), "a name that is taken is refused with a reason")
    row = browser.find_element(By.XPATH, f"//main//tr[th[contains(., '{name}')]]")
    row.find_element(By.TAG_NAME, "summary").click()
    press(browser, row.find_element(By.CSS_SELECTOR, "details button"))
    expect(name not in browser.find_element(By.TAG_NAME, "main").text, "a token can be removed")


def console(browser):
    """Nothing that the content security policy or the browser complains about; refused forms and the missing page are meant."""
    for entry in browser.get_log("browser"):
        meant = any(status in entry["message"] for status in ["404", "403", "422", "429"])
        expect(meant, f"the browser is content, but says: {entry['message']}")


def log_out(browser, url):
    submit(browser, "header form button")
    browser.get(url + "/hosts")
    expect("/login" in browser.current_url, "after logging out a page asks for a login")


def origin(browser):
    return browser.execute_script("return location.origin")


def expect(truth, sentence):
    if not truth:
        faults.append(sentence)


main()
