// The main function of every test program; benchmarks have their own.
#include "testing/testing.h"

int main(int count, char** words) { return edgesynth::testing::RunTests(count, words); }
