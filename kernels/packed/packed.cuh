// Device code of EsPackedLinear and EsPackedConv.
#pragma once

#include "packed/conv.cuh"
#include "packed/linear.cuh"
