using Microsoft.ML.Sorsa.Models;
using Mono.Cecil;
using Mono.Cecil.Cil;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// No call of the library hands TorchSharp a number that becomes a native scalar which nothing holds: see ScalarArithmetic. Looked for in the
/// compiled code: conversions to Scalar or Tensor whose result is not kept in a variable, and TorchSharp's operators over plain numbers,
/// which convert inside.
/// </summary>
[TestClass]
public sealed class ScalarLifetimeTests
{
    private static readonly string[] Numbers = ["System.Double", "System.Single", "System.Int32", "System.Int64", "System.Byte", "System.Int16"];

    [TestMethod]
    public void EveryScalarOutlivesItsCall()
    {
        using AssemblyDefinition library = AssemblyDefinition.ReadAssembly(typeof(CausalLM).Assembly.Location);

        string[] loose = [.. Loose(library)];

        Assert.IsEmpty(loose, string.Join(Environment.NewLine, loose));
    }

    /// <summary>The check above means nothing if it does not find what this assembly does on purpose.</summary>
    [TestMethod]
    public void ALooseScalarIsFound()
    {
        using Tensor one = ones(1);
        using Tensor two = one + 1.0;
        using Tensor three = one.add(2);
        Assert.AreEqual(5, (two + three).item<float>());
        using AssemblyDefinition tests = AssemblyDefinition.ReadAssembly(typeof(ScalarLifetimeTests).Assembly.Location);

        Assert.AreEqual(2, Loose(tests).Count(found => found.Contains(nameof(ALooseScalarIsFound), StringComparison.Ordinal)));
    }

    private static IEnumerable<string> Loose(AssemblyDefinition assembly) =>
        from type in assembly.MainModule.GetTypes()
        from method in type.Methods
        where method.HasBody
        from instruction in method.Body.Instructions
        where instruction.OpCode.FlowControl == FlowControl.Call && instruction.Operand is MethodReference called && IsLoose(called, instruction.Next)
        select $"{method.FullName} calls {instruction.Operand}";

    private static bool IsLoose(MethodReference called, Instruction? next)
    {
        string declaring = called.DeclaringType.FullName;
        if (called.Name == "op_Implicit" && declaring is "TorchSharp.Scalar" or "TorchSharp.torch/Tensor")
        {
            bool kept = next?.OpCode.Name.StartsWith("st", StringComparison.Ordinal) == true;
            return !kept && Numbers.Contains(called.Parameters[0].ParameterType.FullName);
        }

        return declaring == "TorchSharp.torch/Tensor" && called.Name.StartsWith("op_", StringComparison.Ordinal)
            && called.Parameters.Any(parameter => Numbers.Contains(parameter.ParameterType.FullName));
    }
}
