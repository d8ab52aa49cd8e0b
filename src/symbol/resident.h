/* SPDX-License-Identifier: Apache-2.0 */
/* What symbol files occupy in this process. A source maps its file whole, and every page that was
 * ever looked at stays resident: tens of megabytes for a few large programs, of a file that the page
 * cache holds anyway. */
#ifndef AP_SYMBOL_RESIDENT_H
#define AP_SYMBOL_RESIDENT_H

/* Lets go of the pages of all files mapped shared and read-only; a page that is looked at again
 * comes back from the page cache. Mappings that other threads make or end meanwhile are no trouble
 * as long as they are not of that kind. */
void ap_resident_release(void);

#endif
