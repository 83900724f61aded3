using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Mono.Cecil;
using Mono.Cecil.Cil;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>
/// No call of the library makes a native scalar that nothing holds while native code reads it (see ScalarArithmetic). The compiled code is
/// searched for conversions of a number to a Scalar that is not kept, here and inside TorchSharp, and for whatever in TorchSharp leads to
/// such a conversion (tensor + tensor does, by an alpha of 1).
/// </summary>
[TestClass]
[TestCategory("Architecture")]
public sealed class ScalarLifetimeTests
{
    private const string ScalarName = "TorchSharp.Scalar";

    [TestMethod]
    public void EveryScalarOutlivesItsCall()
    {
        using AssemblyDefinition library = AssemblyDefinition.ReadAssembly(typeof(CausalLM).Assembly.Location);

        // It would make loose scalars of numbers, and takes none: the next test.
        string[] loose = [.. Loose(library)
            .Where(found => !found.Contains($"{nameof(TensorScript)}::{nameof(TensorScript.Call)}", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];

        Assert.IsEmpty(loose, string.Join(Environment.NewLine, loose));
    }

    /// <summary>TorchScript takes a number only as a scalar that its caller holds.</summary>
    [TestMethod]
    public void AScriptTakesNoNumber()
    {
        using var script = new TensorScript("""
            def scale(tensor: Tensor, factor: float):
                return tensor * factor

            """);
        using Tensor two = tensor(new float[] { 2 });
        using Scalar factor = 1.5;

        using Tensor three = script.Call("scale", two, factor);

        Assert.AreEqual(3, three.item<float>());
        foreach (object number in new object[] { 1.5, 1.5f, 2, 2L, true })
        {
            Assert.ThrowsExactly<ArgumentException>(() => script.Call("scale", two, number));
        }
    }

    /// <summary>The first check means nothing if it does not find what this assembly does on purpose.</summary>
    [TestMethod]
    public void ALooseScalarIsFound()
    {
        using Tensor one = ones(1);
        using Tensor two = one + 1.0;
        using Tensor three = one.add(2);
        Assert.AreEqual(5, (two + three).item<float>());
        using AssemblyDefinition tests = AssemblyDefinition.ReadAssembly(typeof(ScalarLifetimeTests).Assembly.Location);

        // The operator over a number, the conversion, add itself, and the operator over two tensors.
        Assert.AreEqual(4, Loose(tests).Count(found => found.Contains(nameof(ALooseScalarIsFound), StringComparison.Ordinal)));
    }

    private static IEnumerable<string> Loose(AssemblyDefinition assembly)
    {
        using AssemblyDefinition torchSharp = AssemblyDefinition.ReadAssembly(typeof(Tensor).Assembly.Location);
        HashSet<string> unsafeMethods = UnsafeMethods(torchSharp);
        return [.. from method in Methods(assembly)
                   from instruction in Calls(method)
                   let called = (MethodReference)instruction.Operand
                   where IsLooseConversion(method, instruction) || unsafeMethods.Contains(called.GetElementMethod().FullName)
                   select $"{method.FullName} calls {called.FullName}"];
    }

    /// <summary>The methods of TorchSharp that make a loose scalar themselves, and those that call one of these.</summary>
    private static HashSet<string> UnsafeMethods(AssemblyDefinition torchSharp)
    {
        MethodDefinition[] methods = [.. Methods(torchSharp).Where(
            method => method.DeclaringType.FullName != ScalarName && method.Name != "ToScalar")];
        HashSet<string> found = [.. methods.Where(method => Calls(method).Any(call => IsLooseConversion(method, call)))
            .Select(method => method.FullName)];
        int before;
        do
        {
            before = found.Count;
            found.UnionWith(methods
                .Where(method => Calls(method).Any(call => found.Contains(((MethodReference)call.Operand).GetElementMethod().FullName)))
                .Select(method => method.FullName));
        }
        while (found.Count > before);

        return found;
    }

    /// <summary>A number becomes a Scalar, and it is neither a field's nor disposed of when the call is over.</summary>
    private static bool IsLooseConversion(MethodDefinition method, Instruction call)
    {
        var called = (MethodReference)call.Operand;
        bool converts = called.ReturnType.FullName == ScalarName && called.Name is "op_Implicit" or "ToScalar";
        if (!converts)
        {
            return false;
        }

        string next = call.Next?.OpCode.Name ?? "";
        bool isField = next is "stfld" or "stsfld";
        bool isDisposed = next.StartsWith("stloc", StringComparison.Ordinal)
            && Calls(method).Any(other => ((MethodReference)other.Operand).Name == "Dispose");
        return !isField && !isDisposed;
    }

    private static IEnumerable<MethodDefinition> Methods(AssemblyDefinition assembly) =>
        assembly.MainModule.GetTypes().SelectMany(type => type.Methods).Where(method => method.HasBody);

    private static IEnumerable<Instruction> Calls(MethodDefinition method) =>
        method.Body.Instructions.Where(
            instruction => instruction.Operand is MethodReference && instruction.OpCode.FlowControl == FlowControl.Call);
}
