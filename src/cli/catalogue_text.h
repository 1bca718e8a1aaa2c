/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue_text.h - what devices --catalogue prints. */
#ifndef FTL_CLI_CATALOGUE_TEXT_H
#define FTL_CLI_CATALOGUE_TEXT_H

#include <stdbool.h>

/* All chips, or the one that is named; as JSON always all.  Returns an FTL_CLI_ code. */
int ftl_cli_catalogue(const char *name, bool as_json);

#endif
