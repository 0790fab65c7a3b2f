/* Calls a kernel on NumPy arrays that fit as they are.

   An extension module of one function: `prepare` returns a function that is called as a compiled
   function is; it checks the arrays, allocates the outputs and runs the kernel. Whatever is unusual
   (another type, dtype, shape, strides, an overlap) it leaves to the general way in Python, which
   does it or says what does not fit. */

#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include "runtime.h"

#ifdef Py_GIL_DISABLED
#error "a call relies on the lock of the interpreter"
#endif

/* Kernels that take longer let other Python threads run. A shorter one does not: the lock is handed
   over for 5 ms at a time. */
#define LONG_SECONDS 20e-6

enum { LINE = 64, SMALL = 1 << 14 };
enum { INPUT, OUTPUT, CONSTANT };
static const char NAME[] = "tensorc.call";

typedef int32_t (*dispatch_t)(tensorc_kernel, void *const *, void *, int32_t);

typedef struct {
    int role;
    int nd;
    const npy_intp *shape;
    PyArray_Descr *descr;
    Py_ssize_t nbytes;
    PyObject *owner; /* array that has `shape`; of a constant, the array itself */
} slot_t;

typedef struct block { struct block *next; } block_t;

typedef struct {
    tensorc_kernel kernel;
    dispatch_t dispatch; /* calls a kernel that has parallel loops; else NULL */
    int32_t threads;
    size_t workspace_bytes;
    block_t *free; /* workspaces that no call uses */
    double shortest; /* seconds of the fastest call yet, until one is short */
    PyObject *general, *failed; /* the call in Python; what raises for a status */
    Py_ssize_t inputs, outputs, count;
    slot_t slots[];
} call_t;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* As `tensorc.runtime.arrays.empty`: a large array begins at a cache line. */
static PyObject *new_output(const slot_t *slot) {
    npy_intp size = slot->nbytes + LINE;
    PyObject *block = NULL;
    char *data = NULL;
    if (slot->nbytes >= SMALL) {
        if (!(block = PyArray_SimpleNew(1, &size, NPY_UINT8))) return NULL;
        data = PyArray_BYTES((PyArrayObject *)block);
        data += -(uintptr_t)data % LINE;
    }
    Py_INCREF(slot->descr);
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, slot->descr, slot->nd, slot->shape, NULL,
                                           data, block ? NPY_ARRAY_CARRAY : 0, NULL);
    if (!array) Py_XDECREF(block);
    else if (block && PyArray_SetBaseObject((PyArrayObject *)array, block)) Py_CLEAR(array);
    return array;
}

static int fits(const slot_t *slot, PyObject *object) {
    if (Py_TYPE(object) != &PyArray_Type) return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    int wanted = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
    if (slot->role == OUTPUT) wanted |= NPY_ARRAY_WRITEABLE;
    if ((PyArray_FLAGS(array) & wanted) != wanted || PyArray_NDIM(array) != slot->nd) return 0;
    for (int i = 0; i < slot->nd; i++)
        if (PyArray_DIM(array, i) != slot->shape[i]) return 0;
    PyArray_Descr *descr = PyArray_DESCR(array);
    return descr == slot->descr || PyArray_EquivTypes(descr, slot->descr);
}

/* Whether outputs that were given overlap what the kernel reads, or one another. */
static int overlap(const call_t *call, void *const *buffers) {
    for (Py_ssize_t i = 0; i < call->count; i++) {
        if (call->slots[i].role != OUTPUT) continue;
        const char *begin = buffers[i], *end = begin + call->slots[i].nbytes;
        for (Py_ssize_t j = 0; j < call->count; j++) {
            const char *other = buffers[j];
            if (j != i && begin < other + call->slots[j].nbytes && other < end) return 1;
        }
    }
    return 0;
}

static int32_t run(const call_t *call, void *const *buffers, void *workspace) {
    if (!call->dispatch) return call->kernel(buffers, workspace);
    return call->dispatch(call->kernel, buffers, workspace, call->threads);
}

/* Runs the kernel; -1 with an exception if there is no memory, or it fails. */
static int execute(call_t *call, void *const *buffers) {
    block_t *workspace = call->free;
    if (workspace) call->free = workspace->next;
    else if (call->workspace_bytes &&
             !(workspace = aligned_alloc(LINE, call->workspace_bytes))) {
        PyErr_NoMemory();
        return -1;
    }
    int32_t status;
    if (call->shortest < LONG_SECONDS) {
        status = run(call, buffers, workspace);
    } else {
        double seconds;
        Py_BEGIN_ALLOW_THREADS
        seconds = now();
        status = run(call, buffers, workspace);
        seconds = now() - seconds;
        Py_END_ALLOW_THREADS
        if (seconds < call->shortest) call->shortest = seconds;
    }
    if (workspace) {
        workspace->next = call->free;
        call->free = workspace;
    }
    if (!status) return 0;
    Py_XDECREF(PyObject_CallFunction(call->failed, "i", (int)status));
    return -1;
}

/* The outputs as the caller gets them; takes over the references. */
static PyObject *packed(PyObject **results, Py_ssize_t count) {
    if (count == 1) return results[0];
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (tuple) PyTuple_SET_ITEM(tuple, i, results[i]);
        else Py_DECREF(results[i]);
    }
    return tuple;
}

/* Calls on arrays in order, or inputs in order and outputs by themselves (NULL: to be made). Returns
   NULL without an exception, nothing done, if something does not fit. */
static PyObject *call_fitting(call_t *call, PyObject *const *arrays, int has_all,
                              PyObject *const *outputs) {
    void *buffers[call->count + 1];
    PyObject *results[call->outputs + 1];
    Py_ssize_t made = 0;
    for (Py_ssize_t i = 0; i < call->count; i++) {
        const slot_t *slot = &call->slots[i];
        PyObject *array = slot->owner;
        if (slot->role == INPUT || (slot->role == OUTPUT && has_all)) array = *arrays++;
        else if (slot->role == OUTPUT) array = outputs ? *outputs++ : NULL;
        if (slot->role != CONSTANT && array && !fits(slot, array)) goto failed;
        if (slot->role == OUTPUT) {
            if (!(results[made] = array ? Py_NewRef(array) : new_output(slot))) goto failed;
            array = results[made++];
        }
        buffers[i] = PyArray_DATA((PyArrayObject *)array);
    }
    if ((has_all || outputs) && overlap(call, buffers)) goto failed;
    if (!execute(call, buffers)) return packed(results, made);
failed:
    for (Py_ssize_t i = 0; i < made; i++) Py_DECREF(results[i]);
    return NULL;
}

/* Called as (*arrays, out=None); anything else is for the general way to refuse. */
static PyObject *call_kernel(PyObject *self, PyObject *const *args, Py_ssize_t came,
                             PyObject *keywords) {
    call_t *call = PyCapsule_GetPointer(self, NAME);
    if (!call) return NULL;
    PyObject *const *outputs = NULL;
    int understood = !keywords;
    if (keywords && PyTuple_GET_SIZE(keywords) == 1) {
        PyObject *name = PyTuple_GET_ITEM(keywords, 0), *const *out = args + came;
        understood = !PyUnicode_CompareWithASCIIString(name, "out");
        if (*out == Py_None || call->outputs == 1)
            outputs = *out == Py_None ? NULL : out;
        else if (PyTuple_Check(*out) && PyTuple_GET_SIZE(*out) == call->outputs)
            outputs = &PyTuple_GET_ITEM(*out, 0);
        else
            understood = 0;
    }
    int has_all = !outputs && came != call->inputs;
    if (understood && came == call->inputs + (has_all ? call->outputs : 0)) {
        PyObject *result = call_fitting(call, args, has_all, outputs);
        if (result || PyErr_Occurred()) return result;
    }
    return PyObject_Vectorcall(call->general, args, (size_t)came, keywords);
}

static void clear(call_t *call) {
    for (Py_ssize_t i = 0; i < call->count; i++) Py_XDECREF(call->slots[i].owner);
    for (block_t *block = call->free, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    Py_XDECREF(call->general);
    Py_XDECREF(call->failed);
    PyMem_Free(call);
}

static void forget(PyObject *capsule) { clear(PyCapsule_GetPointer(capsule, NAME)); }

static int read_slot(slot_t *slot, PyObject *pair) {
    PyObject *array;
    if (!PyArg_ParseTuple(pair, "iO!", &slot->role, &PyArray_Type, &array)) return -1;
    slot->owner = Py_NewRef(array);
    slot->nd = PyArray_NDIM((PyArrayObject *)array);
    slot->shape = PyArray_DIMS((PyArrayObject *)array);
    slot->descr = PyArray_DESCR((PyArrayObject *)array);
    slot->nbytes = PyArray_NBYTES((PyArrayObject *)array);
    return 0;
}

static PyMethodDef call_def = {"call_kernel", (PyCFunction)(void *)call_kernel,
                                METH_FASTCALL | METH_KEYWORDS, NULL};

/* prepare(kernel, dispatch, threads, workspace_bytes, general, failed, slots): addresses, a call, a
   function of a status that raises, and for each parameter its role and an array like it. */
static PyObject *prepare(PyObject *self, PyObject *args) {
    unsigned long long kernel, dispatch;
    int threads;
    Py_ssize_t workspace_bytes;
    PyObject *general, *failed, *slots;
    if (!PyArg_ParseTuple(args, "KKinOOO!", &kernel, &dispatch, &threads, &workspace_bytes, &general,
                          &failed, &PyTuple_Type, &slots))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(slots);
    call_t *call = PyMem_Calloc(1, sizeof(call_t) + (size_t)count * sizeof(slot_t));
    if (!call) return PyErr_NoMemory();
    call->kernel = (tensorc_kernel)(uintptr_t)kernel;
    call->dispatch = (dispatch_t)(uintptr_t)dispatch;
    call->threads = threads;
    call->workspace_bytes = (size_t)workspace_bytes;
    call->shortest = 1e9;
    call->general = Py_NewRef(general);
    call->failed = Py_NewRef(failed);
    call->count = count;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (read_slot(&call->slots[i], PyTuple_GET_ITEM(slots, i))) {
            clear(call);
            return NULL;
        }
        call->inputs += call->slots[i].role == INPUT;
        call->outputs += call->slots[i].role == OUTPUT;
    }
    PyObject *capsule = PyCapsule_New(call, NAME, forget);
    if (!capsule) {
        clear(call);
        return NULL;
    }
    PyObject *function = PyCFunction_New(&call_def, capsule);
    Py_DECREF(capsule);
    return function;
}

static PyMethodDef methods[] = {{"prepare", prepare, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "call", NULL, -1, methods, NULL, NULL,
                                    NULL, NULL};

PyMODINIT_FUNC PyInit_call(void) {
    import_array();
    return PyModule_Create(&module);
}
