/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - the text helpers are public, because the command prints with them too. */
#ifndef FTL_BASE_TEXT_H
#define FTL_BASE_TEXT_H

#include "fettle/text.h"

#endif
