// Makes the study of a lesson, and says whether a worker is there that runs it.

import { Problem, all, get, part, send } from "../api.js";

/** The study's request, as its file has it. */
export async function studyOf(lesson) {
  const answer = await fetch(`/static/course/${lesson.study}.json`);
  if (!answer.ok) throw new Problem(answer.status, { detail: "The file of this study is not on the server." });
  return answer.json();
}

/** Creates the study, with the trials that people give. One that is there already is left as it is. */
export async function begin(lesson) {
  await send("POST", "/studies", await studyOf(lesson));
  for (const params of lesson.given ?? []) await send("POST", `/studies/${part(lesson.study)}/trials`, { params });
}

/** Deletes the study with its trials, and begins again. */
export async function again(lesson) {
  await send("DELETE", `/studies/${part(lesson.study)}?force=true`);
  await begin(lesson);
}

/** Lets the recommended trial go on as a panda. */
export async function promote(lesson) {
  const path = `/studies/${part(lesson.study)}`;
  const { recommended } = await get(`${path}/best`);
  await send("POST", `${path}/trials/${recommended.number}:promote`, lesson.promote);
}

/** The study, or null where there is none yet. */
export async function found(lesson) {
  try {
    return await get(`/studies/${part(lesson.study)}`);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

/** Whether a worker calls that runs such tasks. */
export async function hasWorker(kind) {
  const workers = await all("/workers", 1000);
  return workers.some((one) => !one.gone && !one.drain && one.kinds.includes(kind));
}
