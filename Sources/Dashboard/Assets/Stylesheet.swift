// How the pages look: calm, plain, light and dark, from 320 pixels up.

let stylesheetText = #"""
    :root {
      color-scheme: light dark;
      --ground: #f7f7f5;
      --card: #ffffff;
      --line: #e2e3e0;
      --text: #1b1e1c;
      --muted: #5a615d;
      --link: #1c5f8f;
      --brand: #2f6f4f;
      --brand-text: #ffffff;
      --passing: #1a6e40;
      --passing-ground: #e3f3e9;
      --warning: #7a5200;
      --warning-ground: #fbf0d2;
      --error: #9a3b08;
      --error-ground: #fde8db;
      --critical: #a8142c;
      --critical-ground: #fce4e6;
      --neutral-ground: #ececea;
      --focus: #1c5f8f;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --ground: #121513;
        --card: #1a1e1c;
        --line: #2c322f;
        --text: #e7eae8;
        --muted: #a1aaa5;
        --link: #86c1ee;
        --brand: #7cc79d;
        --brand-text: #0f1411;
        --passing: #73d09c;
        --passing-ground: #16301f;
        --warning: #e9c15c;
        --warning-ground: #332a10;
        --error: #ff9f6e;
        --error-ground: #3a2113;
        --critical: #ff8f9a;
        --critical-ground: #3d171c;
        --neutral-ground: #282d2a;
        --focus: #86c1ee;
      }
    }
    *, *::before, *::after { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; }
    body {
      margin: 0;
      background: var(--ground);
      color: var(--text);
      font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
      overflow-wrap: break-word;
    }
    h1, h2, p, li, dd, pre, .name, .address, .wide, .under, .what { overflow-wrap: anywhere; }
    a { color: var(--link); text-underline-offset: 0.15em; }
    :focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
    main:focus { outline: none; }
    [hidden] { display: none !important; }
    .unseen {
      position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
    }
    .skip { position: absolute; left: 1rem; top: -4rem; background: var(--card); padding: 0.5rem 1rem; z-index: 1; }
    .skip:focus { top: 0.5rem; }

    /* Around every page */
    .banner { background: var(--card); border-bottom: 1px solid var(--line); }
    .bar {
      max-width: 72rem; margin: 0 auto; padding: 0.6rem 1.25rem; display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1.75rem;
    }
    .brand { display: inline-flex; align-items: center; gap: 0.5rem; font-weight: 650; font-size: 1.0625rem; color: var(--text); text-decoration: none; }
    .brand .icon { width: 1.25rem; height: 1.25rem; fill: var(--brand); }
    nav { display: flex; gap: 0.25rem; }
    nav a { padding: 0.35rem 0.7rem; border-radius: 6px; color: var(--muted); text-decoration: none; }
    nav a:hover { color: var(--text); background: var(--neutral-ground); }
    nav a[aria-current] { color: var(--text); font-weight: 600; background: var(--neutral-ground); }
    .visitor { margin-left: auto; display: flex; align-items: center; gap: 1rem; }
    .visitor form { display: flex; align-items: center; gap: 0.75rem; }
    .visitor .user { color: var(--muted); }
    .live { color: var(--muted); font-size: 0.875rem; display: inline-flex; align-items: center; gap: 0.4rem; }
    .live::before { content: ""; width: 0.55rem; height: 0.55rem; border-radius: 50%; background: var(--passing); }
    .live[data-state="reconnecting"]::before { background: transparent; border: 2px solid var(--warning); }
    main { max-width: 72rem; margin: 0 auto; padding: 1.75rem 1.25rem 4rem; }

    /* Text */
    h1 { font-size: 1.625rem; line-height: 1.25; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
    h2 { font-size: 1.0625rem; line-height: 1.4; font-weight: 650; margin: 0 0 0.6rem; }
    p { margin: 0 0 1rem; max-width: 44rem; }
    .lead { color: var(--muted); margin: 0.35rem 0 1.5rem; }
    .heading { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; }
    .heading > .button, .heading > .heading-end { margin-left: auto; }
    .heading > h2 { margin: 0; }
    .heading-end { text-decoration: none; }
    .above { margin-top: 1rem; }
    .texts { margin: 0 0 1rem; padding-left: 1.25rem; max-width: 44rem; }
    .muted, .absent, .ago, .hint { color: var(--muted); }
    .small, .hint { font-size: 0.875rem; }
    .moment {
      display: inline-flex; flex-wrap: wrap; column-gap: 0.75em; font-size: 0.875rem; color: var(--muted); font-variant-numeric: tabular-nums;
    }
    .moment > * { white-space: nowrap; }
    section { margin-top: 2.25rem; }
    .runbook { margin: 1.25rem 0 0; }
    code, pre { font: 0.875rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
    pre {
      margin: 0 0 1rem; padding: 0.75rem 1rem; background: var(--ground); border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap;
    }

    /* States */
    .icon { width: 1rem; height: 1rem; flex: none; fill: currentColor; }
    .badge {
      display: inline-flex; align-items: center; gap: 0.4rem; padding: 0.1rem 0.6rem 0.1rem 0.45rem; border-radius: 999px;
      font-size: 0.875rem; font-weight: 600; white-space: nowrap; background: var(--neutral-ground); color: var(--muted);
    }
    .badge.passing { color: var(--passing); background: var(--passing-ground); }
    .badge.warning { color: var(--warning); background: var(--warning-ground); }
    .badge.error { color: var(--error); background: var(--error-ground); }
    .badge.critical { color: var(--critical); background: var(--critical-ground); }
    .down { display: inline-flex; align-items: center; gap: 0.4rem; color: var(--critical); font-weight: 600; }

    /* Cards and lists */
    .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem; margin-top: 1.25rem; }
    .card > :last-child { margin-bottom: 0; }
    .problems { border-left: 4px solid var(--critical); padding-bottom: 0.75rem; }
    .problems.warning { border-left-color: var(--warning); }
    .problems.error { border-left-color: var(--error); }
    .problems ul, .events, .lines { list-style: none; margin: 0; padding: 0; }
    .problems li { display: flex; gap: 0.9rem; align-items: flex-start; padding: 0.5rem 0; }
    .problems .badge { min-width: 6.8rem; }
    .problems li + li { border-top: 1px solid var(--line); }
    .lines { padding: 0.5rem 1.25rem; }
    .lines li { padding: 0.5rem 0; }
    .lines li + li { border-top: 1px solid var(--line); }
    .silences li { display: flex; gap: 0.9rem; align-items: flex-start; }
    .silences .badge { min-width: 8.75rem; }
    .events { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.25rem 1.25rem; }
    .events li { display: flex; gap: 0.75rem; padding: 0.65rem 0; }
    .events li + li { border-top: 1px solid var(--line); }
    .events .icon { margin-top: 0.25rem; color: var(--muted); }
    .events .passing .icon { color: var(--passing); }
    .events .warning .icon { color: var(--warning); }
    .events .error .icon { color: var(--error); }
    .events .critical .icon { color: var(--critical); }

    /* Tables */
    table {
      width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
    }
    th, td { padding: 0.7rem 1rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
    thead th { border-top: 0; padding-block: 0.55rem; font-size: 0.8125rem; font-weight: 600; color: var(--muted); white-space: nowrap; }
    tbody th { font-weight: 600; }
    .name { min-width: 12rem; }
    .address { min-width: 14rem; }
    time.ago ~ .under { white-space: nowrap; }
    th.wide, td.wide { width: 40%; }
    .pid { white-space: nowrap; }
    .number { font-variant-numeric: tabular-nums; }
    .under { display: block; font-size: 0.875rem; font-weight: 400; color: var(--muted); margin-top: 0.15rem; }
    td > .under { max-width: 19rem; }
    .under.failing { color: var(--error); }
    .badge + .under { margin-top: 0.3rem; }
    time.ago { white-space: nowrap; }

    /* Numbers with their last hour */
    .measured .value { white-space: nowrap; }
    .spark { display: block; width: 7.5rem; height: 1.75rem; margin-top: 0.2rem; overflow: visible; }
    .spark .line { fill: none; stroke: var(--brand); stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round; }
    .spark .area { fill: var(--brand); opacity: 0.13; }
    .spark .mark { fill: none; stroke: var(--critical); stroke-width: 1.5; }
    .spark .mark.verified { stroke: var(--link); }
    .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1rem; margin-bottom: 1rem; }
    .figures.tight { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; }
    .figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.9rem 1.1rem; }
    .figure .label { color: var(--muted); font-size: 0.875rem; }
    .figure .value { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
    .figure .spark { width: 100%; height: 2.5rem; }
    .samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 0 2rem; margin: 0.5rem 0 1rem; }
    .samples div { display: flex; justify-content: space-between; gap: 1rem; padding: 0.3rem 0; border-bottom: 1px solid var(--line); }
    .samples dt { color: var(--muted); }
    .samples dd { margin: 0; font-variant-numeric: tabular-nums; }
    summary { cursor: pointer; color: var(--link); padding: 0.15rem 0; }

    /* Forms */
    .narrow { max-width: 25rem; margin: 6vh auto 0; }
    .field { margin-bottom: 1rem; }
    label { display: block; font-weight: 600; margin-bottom: 0.25rem; }
    input:not([type="hidden"]) {
      width: 100%; max-width: 26rem; padding: 0.55rem 0.75rem; font: inherit; color: inherit; background: var(--ground); border: 1px solid #868d89;
      border-radius: 6px;
    }
    .hint { margin: 0.25rem 0 0; }
    .problem {
      display: flex; gap: 0.6rem; align-items: flex-start; padding: 0.65rem 0.9rem; border-radius: 6px; color: var(--critical);
      background: var(--critical-ground);
    }
    .problem .icon { margin-top: 0.25rem; }
    .button {
      display: inline-block; padding: 0.5rem 1rem; border: 0; border-radius: 6px; font: inherit; font-weight: 600; text-decoration: none;
      cursor: pointer; background: var(--brand); color: var(--brand-text);
    }
    .button:hover { filter: brightness(1.08); }
    .button.danger { background: var(--critical-ground); color: var(--critical); }
    .quiet {
      border: 1px solid var(--line); background: none; color: var(--text); font: inherit; font-size: 0.875rem; padding: 0.25rem 0.65rem;
      border-radius: 6px; cursor: pointer;
    }
    .quiet:hover { background: var(--neutral-ground); }

    /* On a phone, rows become cards, and each cell says which column it is. */
    @media (max-width: 46rem) {
      .bar { padding-inline: 1rem; column-gap: 1rem; }
      .brand { order: 1; }
      .visitor { order: 2; gap: 0.75rem; }
      .visitor .user { display: none; }
      nav { order: 3; width: 100%; margin: 0.15rem -0.6rem 0; }
      nav a { padding-inline: 0.6rem; }
      main { padding: 1.25rem 1rem 3rem; }
      h1 { font-size: 1.375rem; }
      section { margin-top: 1.75rem; }
      table, tbody, tr, th, td { display: block; }
      table { background: none; border: 0; }
      thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
      tbody tr { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.4rem 0; margin-bottom: 0.75rem; }
      tbody th, tbody td { border: 0; padding: 0.35rem 1rem; width: auto !important; min-width: 0 !important; }
      tbody td.calm { display: none; }
      tbody td { display: grid; grid-template-columns: 6.5rem 1fr; column-gap: 0.75rem; }
      tbody td::before { content: attr(data-label); grid-row: 1 / span 9; color: var(--muted); font-size: 0.875rem; }
      tbody td > * { grid-column: 2; justify-self: start; min-width: 0; }
      .measured { display: flex; align-items: center; justify-content: space-between; gap: 1rem; width: 100%; }
      .measured .spark { flex: 0 1 7.5rem; min-width: 0; margin: 0; }
      .figure .measured { display: block; }
      .figure .spark { width: 100%; }
      .problems li, .silences li { flex-direction: column; gap: 0.3rem; }
      .events { padding-inline: 1rem; }
    }
    @media (prefers-reduced-motion: no-preference) {
      .live[data-state="reconnecting"]::before { animation: pulse 1.6s ease-in-out infinite; }
      @keyframes pulse { 50% { opacity: 0.25; } }
    }
    @media print {
      .banner, .skip, .button { display: none; }
      body { background: none; }
    }

    """#
