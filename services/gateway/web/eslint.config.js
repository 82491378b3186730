/** Rules for the page's code: strict, with types. */
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import typescript from "typescript-eslint";

export default defineConfig(
    globalIgnores(["src/api/schema.d.ts", "eslint.config.js"]),
    typescript.configs.strictTypeChecked,
    typescript.configs.stylisticTypeChecked,
    hooks.configs.flat.recommended,
    {
        languageOptions: { parserOptions: { projectService: true } },
        rules: {
            "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
            "@typescript-eslint/no-confusing-void-expression": [
                "error",
                { ignoreArrowShorthand: true },
            ],
            "@typescript-eslint/consistent-type-definitions": ["error", "interface"],
        },
    },
);
