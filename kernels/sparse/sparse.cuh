// Device code of both sparse operators, as kernels/resources.py compiles it.
#pragma once

#include "sparse/conv.cuh"
#include "sparse/linear.cuh"
