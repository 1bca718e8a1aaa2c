/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - how every fettle call says what happened.
 * A call returns FTL_OK (0) or a negative code; the sentence for people is kept per thread and is
 * valid from the failing call until the next failing call on the same thread. */
#ifndef FETTLE_STATUS_H
#define FETTLE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ftl_status {
    FTL_OK = 0,
    FTL_EINVAL = -1,       /* an argument is outside its documented range            */
    FTL_ENOMEM = -2,       /* host or device memory is used up                       */
    FTL_EIO = -3,          /* the operating system refused a file or a pipe          */
    FTL_EFORMAT = -4,      /* a file is damaged, truncated or contradicts itself     */
    FTL_EUNSUPPORTED = -5, /* valid, but this build or device cannot do it           */
    FTL_ENOTFOUND = -6,    /* a file, name, device or key does not exist             */
    FTL_ELOST = -7,        /* the device failed; aliased cells of the run are invalid */
    FTL_ETIMEOUT = -8,     /* the time limit passed                                  */
    FTL_ENOFIT = -9,       /* a valid answer: the model does not fit the limits      */
    FTL_ECANCELED = -10,   /* the user interrupted                                   */
    FTL_EINTERNAL = -11    /* a bug in fettle or in a driver                         */
} ftl_status;

/* Public functions carry FTL_API; all others stay inside the library. */
#if defined(__GNUC__)
#define FTL_API      __attribute__((visibility("default")))
#define FTL_MUST_USE __attribute__((warn_unused_result))
#else
#define FTL_API
#define FTL_MUST_USE
#endif

/* The sentence of this thread's last failure, "" if there was none.  Borrowed. */
FTL_API const char *ftl_error_text(void);
/* Where it was recorded, "file.c:123".  Borrowed. */
FTL_API const char *ftl_error_place(void);
/* "FTL_ENOMEM" and so on; "FTL_E?" for a number that is no code.  Static. */
FTL_API const char *ftl_status_name(ftl_status status);

#ifdef __cplusplus
}
#endif
#endif
