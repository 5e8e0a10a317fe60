import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
for (const { severity, code, message, path } of diagnostics) console.log(severity, code, path.join("."), message);
process.exit(document ? 0 : 1);
