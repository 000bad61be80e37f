import type { Steps } from '../util/steps.js';
import { checkSections } from './check.js';
import { VrfChecks } from './check-vrfs.js';
import { Findings, sectionParts } from './document-parts.js';
import { parseText, type ParsedText, type Position } from './document.js';
import { loadConfigSteps, type LoadResult } from './load.js';
import type { FieldPath } from './problem.js';
import { resolveConfig, type ResolveContext } from './resolved.js';
import { configSchema, vrfSchema, type ConfigDocument, type VrfDocument } from './schema.js';
import { VrfResolver } from './vrf-resolver.js';
import { NOTHING_SHARED, cutAgain, cutVrfs, restOf, sharedVrfs, vrfTextOf } from './vrf-texts.js';
import type { CutText, SharedVrfs } from './vrf-texts.js';

/** A text that was read, and the VRFs in it. */
interface ReadText {
  readonly cut: CutText;
  readonly vrfs: readonly VrfDocument[];
  readonly checks: RememberedChecks;
}

/** A VRF of a longer text is held against its schema item by item, which takes twice the time. */
const MAXIMUM_STEP_LENGTH = 16 * 1024;

/** Says only whether something is wrong: what it is, and where, is found in the whole text. */
class RememberedChecks {
  readonly autonomousSystem: number;
  readonly vrfs: VrfChecks;
  isRight = true;

  constructor(autonomousSystem: number) {
    this.autonomousSystem = autonomousSystem;
    this.vrfs = new VrfChecks(autonomousSystem, this.wrong);
  }

  readonly wrong = (): void => {
    this.isRight = false;
  };
}

/**
 * Reads one configuration after the other, as they replace each other. A VRF whose text is that of the configuration
 * before is not read, validated or compared again: with ten thousand VRFs a reload that changes one costs milliseconds.
 *
 * What comes out is what {@link loadConfigSteps} makes of the whole text; that is also asked as soon as anything is wrong, or
 * cannot be cut, so that problems are found and located in one way only.
 */
export class ConfigReader {
  #last: ReadText | undefined;
  readonly #resolver = new VrfResolver();
  #vrfsRead = 0;

  /** VRFs whose text had to be read, since the start: deterministic, for tests of the work done. */
  get vrfsRead(): number {
    return this.#vrfsRead;
  }

  /** See {@link loadConfigSteps}; can be interrupted between two VRFs. */
  *load(text: string, file: string, context: ResolveContext): Steps<LoadResult> {
    const last = this.#last?.cut;
    const again = last === undefined ? undefined : cutAgain(last, text);
    const cut = again ?? cutVrfs(text);
    if (cut !== undefined) {
      yield;
      const shared = again ?? (last === undefined ? NOTHING_SHARED : sharedVrfs(last, cut));
      const result = yield* this.#loadCut(cut, shared, file, context);
      if (result !== undefined) return result;
    }
    return yield* loadConfigSteps(text, file, context);
  }

  /** @returns `undefined` when anything is wrong */
  *#loadCut(cut: CutText, shared: SharedVrfs, file: string, context: ResolveContext): Steps<LoadResult | undefined> {
    const rest = parseText(restOf(cut));
    if (rest.kind === 'unreadable' || !hasEmptyList(rest.value)) return undefined;
    const findings = new Findings(1);
    const checked = yield* sectionParts(configSchema, { ...rest.value, vrfs: [] }, findings);
    if (findings.areEnough) return undefined;
    yield;
    const vrfs = yield* this.#readVrfs(cut, shared);
    if (vrfs === undefined) return undefined;
    const document = { ...(checked as ConfigDocument), vrfs };
    const checks = yield* this.#check(document, shared);
    if (checks === undefined) return undefined;
    yield;
    const running = context.running?.vrfs ?? [];
    const resolved = yield* this.#resolver.resolve(vrfs, document.routerId, running, shared);
    const config = resolveConfig(document, context, resolved);
    this.#last = { cut, vrfs, checks };
    return { kind: 'loaded', file, config, locate: (path) => locate(path, rest, cut) };
  }

  /** @returns the checks of the VRFs, for the next time; `undefined` when anything is wrong */
  *#check(document: ConfigDocument, { head, tail }: SharedVrfs): Steps<RememberedChecks | undefined> {
    const { vrfs, autonomousSystem } = document;
    const known = this.#last?.checks.autonomousSystem === autonomousSystem ? this.#last : undefined;
    // Until the end the checks are half of this document: when something is wrong the next one begins anew.
    this.#last = undefined;
    const checks = known?.checks ?? new RememberedChecks(autonomousSystem);
    for (const vrf of known?.vrfs.slice(head, known.vrfs.length - tail) ?? []) checks.vrfs.delete(vrf);
    for (const vrf of known === undefined ? vrfs : vrfs.slice(head, vrfs.length - tail)) {
      checks.vrfs.add(vrf, 0);
      yield;
    }
    checkSections(document, checks.vrfs, checks.wrong);
    return checks.isRight ? checks : undefined;
  }

  *#readVrfs(cut: CutText, { head, tail }: SharedVrfs): Steps<VrfDocument[] | undefined> {
    const last = this.#last;
    const before = last?.vrfs ?? [];
    const documents = before.slice(0, head);
    // Only between what is the same in front and behind does anything have to be looked up.
    const known = new Map<string, VrfDocument>();
    for (let n = head; last !== undefined && n < before.length - tail; n++) {
      const document = before[n];
      if (document !== undefined && last.cut.format === cut.format) known.set(vrfTextOf(last.cut, n), document);
    }
    for (let n = head; n < cut.starts.length - tail; n++) {
      const text = vrfTextOf(cut, n);
      const document = known.get(text) ?? (yield* this.#readVrf(text, cut.format === 'yaml'));
      if (document === undefined) return undefined;
      documents.push(document);
      yield;
    }
    return documents.concat(before.slice(before.length - tail));
  }

  *#readVrf(text: string, isList: boolean): Steps<VrfDocument | undefined> {
    this.#vrfsRead++;
    const parsed = parseText(text);
    if (parsed.kind === 'unreadable') return undefined;
    let { value } = parsed;
    if (isList) {
      if (!Array.isArray(value) || value.length !== 1) return undefined;
      value = value[0];
    }
    if (text.length > MAXIMUM_STEP_LENGTH) {
      const findings = new Findings(1);
      const parts = yield* sectionParts(vrfSchema, value, findings);
      return findings.areEnough ? undefined : (parts as VrfDocument);
    }
    const checked = vrfSchema.safeParse(value);
    return checked.success ? checked.data : undefined;
  }
}

/** Whether the list that was cut out left its place empty, and nothing else did. */
function hasEmptyList(value: unknown): value is { readonly vrfs: unknown } {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'vrfs')) return false;
  const { vrfs } = value as { readonly vrfs: unknown };
  return vrfs === null || (Array.isArray(vrfs) && vrfs.length === 0);
}

/** The place of a field in the whole text, by its place in what was left of it. */
function locate(path: FieldPath, rest: ParsedText, cut: CutText): Position {
  if (path[0] === 'vrfs') {
    const whole = parseText(cut.text);
    return whole.kind === 'parsed' ? whole.locate(path) : { line: 1, column: 1 };
  }
  const { line, column } = rest.locate(path);
  const restText = restOf(cut);
  let lineStart = 0;
  for (let n = 1; n < line; n++) lineStart = restText.indexOf('\n', lineStart) + 1;
  const offset = lineStart + column - 1;
  return positionOf(cut.text, offset < cut.listStart ? offset : offset + cut.listEnd - cut.listStart);
}

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}
